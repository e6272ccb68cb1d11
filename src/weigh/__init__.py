"""See what a neural network has learned: its parameters, their axes, values and totals."""

from weigh._api import explain, open, show  # noqa: A004
from weigh._counts import Counts
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
from weigh._model import Axis, Hyperparameter, Initial, Layer, Network, Parameter, Tensor
from weigh._version import __version__

__all__ = [
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
