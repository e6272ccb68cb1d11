"""See what a neural network has learned: its parameters, their axes, values and totals."""

from typing import TYPE_CHECKING

from weigh._version import __version__

if TYPE_CHECKING:
    from weigh._api import check, diff, explain, open, show, stats  # noqa: A004
    from weigh._checks.finding import Finding
    from weigh._checks.report import CheckReport
    from weigh._compare.change import TensorChange
    from weigh._compare.path import PathReport
    from weigh._compare.report import DiffReport
    from weigh._counts import Counts
    from weigh._drawing import histogram, picture, ridge
    from weigh._dtypes import DType
    from weigh._errors import (
        FormatError,
        IndexingError,
        SourceError,
        UnknownNameError,
        UnsupportedError,
        UsageError,
        ValuesError,
        WeighError,
    )
    from weigh._explain import Explanation
    from weigh._measures.report import StatisticsReport
    from weigh._measures.statistics import Statistics
    from weigh._measures.table import Table
    from weigh._model import Axis, Hyperparameter, Initial, Layer, Network, Parameter, Tensor
    from weigh._pictures.histogram import Histogram
    from weigh._pictures.picture import Picture
    from weigh._pictures.ridge import Ridge
    from weigh._report.make import report

__all__ = [
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

_HOMES = {
    "_api": ("check", "diff", "explain", "open", "show", "stats"),
    "_checks.finding": ("Finding",),
    "_checks.report": ("CheckReport",),
    "_compare.change": ("TensorChange",),
    "_compare.path": ("PathReport",),
    "_compare.report": ("DiffReport",),
    "_counts": ("Counts",),
    "_drawing": ("histogram", "picture", "ridge"),
    "_dtypes": ("DType",),
    "_explain": ("Explanation",),
    "_measures.report": ("StatisticsReport",),
    "_measures.statistics": ("Statistics",),
    "_measures.table": ("Table",),
    "_pictures.histogram": ("Histogram",),
    "_pictures.picture": ("Picture",),
    "_pictures.ridge": ("Ridge",),
    "_report.make": ("report",),
    "_model": ("Axis", "Hyperparameter", "Initial", "Layer", "Network", "Parameter", "Tensor"),
}
"""Where a public name is defined; the rest, the errors, are all in one place."""

if not TYPE_CHECKING:  # type checkers would believe in any name

    def __getattr__(name: str) -> object:
        """Load a public name when it is first asked for: the command line asks for few."""
        if name not in __all__:
            raise AttributeError(f"module 'weigh' has no attribute {name!r}")
        from importlib import import_module

        home = next((home for home, names in _HOMES.items() if name in names), "_errors")
        thing = globals()[name] = getattr(import_module(f"weigh.{home}"), name)
        return thing


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})
