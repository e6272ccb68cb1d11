"""The table of kinds, by name and by class."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from weigh._kinds import activation, attention, conv, embedding, linear, norm, recurrent
from weigh._kinds.holders import HOLDERS
from weigh._kinds.kind import Kind
from weigh._kinds.plain import PLAIN

_FAMILIES = (conv, linear, norm, embedding, recurrent, attention, activation)
KINDS: dict[str, Kind] = {kind.name: kind for family in _FAMILIES for kind in family.KINDS}
"""Every kind by the name of its class."""

# A Linear by class, told apart by the layer's name.
_BY_ROLE: dict[str, Kind] = {
    "FusedLinear": linear.FusedLinear(),
    "FusedConv1D": linear.FusedConv1D(),
    "AttentionOutput": attention.AttentionOutput(),
    **{kind.name: kind for kind in recurrent.BASES},
}
_ALIASES = {"NonDynamicallyQuantizableLinear": "AttentionOutput"}
_FOREIGN = {"keras.": "weigh._kinds.keras", "onnx.": "weigh._kinds.onnx"}
"""Other frameworks' layers, by the beginning of a class's full name; most files have none."""
_HOMES = ("torch.nn.", "torch.ao.nn.", "transformers.")


def find(name: str) -> Kind | None:
    """Find a kind by its name."""
    return KINDS.get(name) or _BY_ROLE.get(name)


def find_by_class(class_paths: Iterable[str]) -> Kind | None:
    """Find the kind of a class by its full name or that of a class it extends."""
    for path in class_paths:
        home, _, name = path.rpartition(".")
        module = _FOREIGN.get(f"{path.partition('.')[0]}.")
        if module is not None:
            kinds: dict[str, Kind] = import_module(module).KINDS
            return kinds.get(name)
        # A LazyBatchNorm1d extends no BatchNorm1d.
        plain = _ALIASES.get(name, name.removeprefix("Lazy"))
        kind = find(plain) or PLAIN.get(plain) or HOLDERS.get(plain)
        if kind is not None and f"{home}.".startswith(_HOMES):
            return kind
    return None
