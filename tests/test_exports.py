"""The public names: a name you can see is a promise."""

from __future__ import annotations

from types import ModuleType

import weigh


def test_the_public_names() -> None:
    assert weigh.__all__ == sorted(weigh.__all__)
    # Modules (weigh.testing) are there once they were imported.
    seen = {n for n, thing in vars(weigh).items() if not isinstance(thing, ModuleType)}
    assert set(weigh.__all__) == {n for n in seen if not n.startswith("_")} | {"__version__"}
    assert weigh.__all__ == [
        "Axis",
        "Counts",
        "DType",
        "Explanation",
        "FormatError",
        "Hyperparameter",
        "IndexingError",
        "Initial",
        "Layer",
        "Network",
        "Parameter",
        "SourceError",
        "Tensor",
        "UnknownNameError",
        "UnsupportedError",
        "UsageError",
        "ValuesError",
        "WeighError",
        "__version__",
        "explain",
        "open",
        "show",
    ]


def test_every_public_name_is_documented() -> None:
    for name in weigh.__all__:
        if name != "__version__":
            assert (getattr(weigh, name).__doc__ or "").strip(), name
