"""Weights that are stored as codes in one of two networks, with their scales in other tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from weigh._compare.match import Match, own_name
from weigh._model import Network
from weigh._pattern import pattern
from weigh._tensor import Tensor

Leaves = Mapping[str, set[str]]
"""What each layer calls its tensors."""

_SCALES = pattern(r".*(scale|SCB|absmax|quant_state|quant_map|qzeros|g_idx|zero_point).*")


def leaves_of(network: Network) -> Leaves:
    """Say what each layer of a network calls its tensors."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for tensor in network.tensors():
        found[tensor.layer].add(own_name(tensor))
    return found


def coded(match: Match, leaves: tuple[Leaves, Leaves]) -> str:
    """Say that one of two tensors holds codes, and the other numbers; "" if it does not seem so.

    Codes are whole numbers, or floats of 8 bits and fewer, whose layer has scales beside them that
    that of the numbers has not.
    """
    a, b = match.a, match.b
    for one, other, mine, theirs in ((a, b, *leaves), (b, a, leaves[1], leaves[0])):
        scales = {leaf for leaf in mine.get(one.layer, ()) if _SCALES.fullmatch(leaf)}
        scales -= theirs.get(other.layer, set())
        if scales and _may_be_codes(one) and _numbers(other):
            codes = f"{one.dtype.name} codes, whose scales are in {min(scales)}"
            return f"{codes}, are no numbers to hold against {other.dtype.name}"
    return ""


def _may_be_codes(tensor: Tensor) -> bool:
    return tensor.dtype.family in ("int", "uint") or tensor.dtype.bits <= 8


def _numbers(tensor: Tensor) -> bool:
    return tensor.dtype.family == "float" and tensor.dtype.bits > 8
