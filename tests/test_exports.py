"""The public names: a name you can see is a promise."""

from __future__ import annotations

import weigh


def test_the_public_names() -> None:
    assert weigh.__all__ == sorted(weigh.__all__)
    assert set(weigh.__all__) == {name for name in vars(weigh) if not name.startswith("_")} | {
        "__version__"
    }
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
