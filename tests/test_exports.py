"""The public names: a name you can see is a promise."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import weigh


def test_the_public_names() -> None:
    assert weigh.__all__ == sorted(weigh.__all__)
    assert {name for name in weigh.__all__ if name not in dir(weigh)} == set()
    # Modules (weigh.testing) are there once they were imported.
    seen = {n for n in dir(weigh) if not isinstance(getattr(weigh, n), ModuleType)}
    assert set(weigh.__all__) == {n for n in seen if not n.startswith("_")} | {"__version__"}
    assert weigh.__all__ == [
        "Axis",
        "CheckReport",
        "Counts",
        "DType",
        "DiffReport",
        "Explanation",
        "Finding",
        "FormatError",
        "Histogram",
        "Hyperparameter",
        "IndexingError",
        "Initial",
        "Layer",
        "Network",
        "Parameter",
        "PathReport",
        "Picture",
        "Ridge",
        "SourceError",
        "Statistics",
        "StatisticsReport",
        "Table",
        "Tensor",
        "TensorChange",
        "UnknownNameError",
        "UnsupportedError",
        "UsageError",
        "ValuesError",
        "WeighError",
        "__version__",
        "check",
        "diff",
        "explain",
        "histogram",
        "open",
        "picture",
        "report",
        "ridge",
        "show",
        "stats",
    ]


def test_every_public_name_is_documented() -> None:
    for name in weigh.__all__:
        if name != "__version__":
            assert (getattr(weigh, name).__doc__ or "").strip(), name


def test_a_public_name_is_loaded_once_and_no_other_is_there() -> None:
    assert weigh.open is weigh.open
    assert vars(weigh)["open"] is weigh.open
    with pytest.raises(AttributeError, match="module 'weigh' has no attribute 'opne'"):
        weigh.opne  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'opne'"):
        from weigh import opne  # type: ignore[attr-defined]  # noqa: F401


def test_type_checkers_find_each_name_where_it_is_loaded_from() -> None:
    """The imports that only type checkers see, against what is loaded."""
    tree = ast.parse(Path(str(weigh.__file__)).read_text("utf-8"))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    told = {
        a.name: str(n.module)
        for n in froms
        for a in n.names
        if n.module not in ("typing", "importlib")
    }
    assert sorted(told) == weigh.__all__
    for name, home in told.items():
        assert getattr(weigh, name) is getattr(import_module(str(home)), name)
