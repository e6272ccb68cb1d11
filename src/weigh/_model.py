"""A network as Weigh shows it: a tree of layers, with named axes on every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from weigh._counts import Counts
from weigh._errors import UnknownNameError
from weigh._facts import Accounts, Fault
from weigh._index import parse_index
from weigh._layer import Hyperparameter, Layer, Origin, layer_text
from weigh._names import did_you_mean, matches
from weigh._record import field, record
from weigh._tensor import Axis, Initial, Parameter, Status, Tensor

if TYPE_CHECKING:
    from weigh._checks.report import CheckReport
    from weigh._measures.report import StatisticsReport

__all__ = [
    "Axis",
    "Hyperparameter",
    "Initial",
    "Layer",
    "Network",
    "Origin",
    "Parameter",
    "Status",
    "Tensor",
    "layer_text",
]


@record(frozen=True, slots=False, eq=False)
class Network(Layer):
    """A whole network: a tree of layers read from a source.

    Attributes:
        format: the reader that read it: ``"live"``, ``"safetensors"``, ``"torch-zip"``...
        location: where it was read from.
        ordered: whether its layers stand in the network's own order; safetensors sorts them.
        metadata: what else the source says, as text.
        notes: sentences the reader should see.
        accounts: where the bytes of its file or files went; None where there is none.
        imports: what a plain loader would import, and may run, to read its file: full names of
            functions and classes, each with the file or member that names it.
        faults: what does not fit in its files, though they can be read.
    """

    format: str = "live"
    location: str = ""
    ordered: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    accounts: Accounts | None = None
    imports: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()
    _others: tuple[Tensor, ...] = ()
    _live: object = None

    @cached_property
    def counts(self) -> Counts:
        """The totals, each labelled: see ``Counts``."""
        return Counts.of(self.tensors())

    def tensors(self) -> list[Tensor]:
        """List every tensor: the network's own, then optimizer state and others."""
        return [*super().tensors(), *self._others]

    def select(self, pattern: str) -> list[Tensor]:
        """List the tensors a pattern selects: a whole name, a layer's path, or a glob.

        Raises:
            UnknownNameError: it selects none.
        """
        tensors = self.tensors()
        names = set(matches(pattern, [tensor.name for tensor in tensors]))
        if not names:
            paths = [path for path, _ in self.named_modules() if path]
            near = did_you_mean(pattern, [*paths, *(tensor.name for tensor in tensors)])
            raise UnknownNameError(f"no tensor matches {pattern!r}", do=near)
        return [tensor for tensor in tensors if tensor.name in names]

    def stats(self, pattern: str | None = None, **options: Any) -> StatisticsReport:
        """Measure every value; see ``weigh.stats``, whose options these are.

        Examples:
            >>> import numpy, weigh
            >>> weigh.open({"fc.bias": numpy.array([1.0, 3.0])}).stats().total.mean
            2.0
        """
        # What measures is built on this module, and loaded only when it is asked for.
        report: StatisticsReport = import_module("weigh._api").stats(self, pattern, **options)
        return report

    def check(self, pattern: str | None = None, **options: Any) -> CheckReport:
        """Look for what is wrong; see ``weigh.check``, whose options these are.

        Examples:
            >>> import numpy, weigh
            >>> net = weigh.open({"fc.bias": numpy.array([1.0, numpy.nan])})
            >>> [finding.rule for finding in net.check()]
            ['non-finite']
        """
        # What checks is built on this module, and loaded only when it is asked for.
        report: CheckReport = import_module("weigh._api").check(self, pattern, **options)
        return report

    @cached_property
    def _by_name(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in self.tensors()}

    def _find(self, name: str) -> Layer | Tensor | None:
        return self._by_name.get(name) or super()._find(name)

    @property
    def _title(self) -> str:
        return "the network"


def tensor_at(network: Network, text: str) -> Tensor:
    """Find the tensor of ``conv1.weight[0]``, and take the slice.

    Raises:
        UnknownNameError: there is no such tensor.
        IndexingError: the index is none, or does not fit it.
    """
    name, indices = _split(network, text)
    found = network[name]
    if isinstance(found, Layer):
        held = [tensor.name for tensor in found.tensors()][:3]
        do = f"Name one of its tensors: {', '.join(held)}." if held else ""
        raise UnknownNameError(f"{name!r} is a layer, not a tensor", do=do)
    for index in indices:
        found = found[parse_index(index)]
    return found


def _split(network: Network, text: str) -> tuple[str, list[str]]:
    """Split ``a.weight[0][:8]`` into a name, which may hold brackets itself, and its indices."""
    if text in network or not text.endswith("]"):
        return text, []
    places = [at for at, letter in enumerate(text) if letter == "["]
    at = next((at for at in reversed(places) if text[:at] in network), places[0] if places else 0)
    return text[:at], text[at + 1 : -1].split("][")
