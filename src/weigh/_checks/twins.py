"""Rules on parameters that are one tensor, share memory, or hold the same values."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from math import prod

from weigh._checks.finding import Finding, Severity, Unsure
from weigh._checks.rule import Limits
from weigh._checks.subject import Subject
from weigh._covered import covered
from weigh._errors import WeighError
from weigh._measures.feed import DEQUANTIZED, boxes, bytes_of, encoded, reader_of
from weigh._model import Tensor

_NAMED = 20
_PIECE = 1 << 20
"""Values that are read at a time."""
_EMBEDDING = re.compile(r"\w*embed\w*|wte|emb|shared|tok_emb\w*|encoder", re.IGNORECASE)
_HEAD = re.compile(
    r"lm_head|head|output|decoder|proj_out|output_layer|output_projection|generator|predictions"
    r"|embed_out|logits|\w*classifier|fc_out",
    re.IGNORECASE,
)
"""What the layers of a tie are called."""
_TIES = ("live", "torch-zip", "torch-legacy")
"""The formats that keep two names of one tensor apart from two tensors."""


def tied(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters with several names, and those that share a part of their memory."""
    by_first: defaultdict[str, list[str]] = defaultdict(list)
    mine = {tensor.name for tensor in subject.parameters}
    for tensor in subject.network.tensors():
        if tensor.tied_to in mine:
            by_first[tensor.tied_to or ""].append(tensor.name)
    for roots, parts in _joined([[first, *rest] for first, rest in by_first.items()]):
        names = [_name(root, part) for part in parts for root in roots]
        evidence = {"count": len(parts), "names": names[:_NAMED], "shared_bytes": None}
        if len(parts) == 1:
            yield Finding(names[0], f"it is one tensor with {_listed(names[1:])}", evidence)
        else:
            message = f"{len(parts):,} of its parameters are those of {_listed(roots[1:])}"
            yield Finding(roots[0], message, evidence)
    yield from _overlaps(subject)


def _overlaps(subject: Subject) -> Iterator[Finding]:
    storages: defaultdict[Hashable, list[Tensor]] = defaultdict(list)
    for tensor in subject.parameters:
        if tensor.extent is not None:
            storages[tensor.extent.storage].append(tensor)
    for tensors in storages.values():
        spans = [(t.extent, t.dtype) for t in tensors if t.extent is not None]
        if len(spans) < 2:
            continue
        together = covered(spans)
        shared = sum(dtype.size_of(extent.distinct) for extent, dtype in spans) - together.bytes
        if shared <= 0:
            continue
        names = [tensor.name for tensor in tensors]
        evidence = {"count": len(names), "names": names[:_NAMED], "shared_bytes": shared}
        message = f"it shares memory with {_listed(names[1:])}: {shared:,} bytes in all"
        yield Finding(names[0], message, evidence)


def broken_tie(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that hold the same values, bit for bit, without being one tensor."""
    groups: list[list[str]] = []
    counts: dict[str, int] = {}
    for alike in _candidates(subject, limits):
        for same in _confirmed(alike):
            groups.append([tensor.name for tensor in same])
            counts[same[0].name] = same[0].count or 0
    for roots, parts in _joined(groups):
        names = [_name(root, part) for part in parts for root in roots]
        values = sum(counts[_name(roots[0], part)] for part in parts)
        evidence = {"count": len(parts), "values": values, "names": names[:_NAMED]}
        if len(parts) == 1:
            yield _twin(subject, [_name(root, parts[0]) for root in roots], evidence)
            continue
        message = (
            f"{len(parts):,} of its parameters hold the same values as those of "
            f"{_listed(roots[1:])}, as copies of one layer do before they are trained"
        )
        yield Finding(roots[0], message, evidence, "info")


def _twin(subject: Subject, names: Sequence[str], evidence: dict[str, object]) -> Finding:
    """Say what two tensors of one value are: a tie that broke, if names and format tell so."""
    layers = [name.split(".")[-2] for name in names if "." in name]
    heads = [layer for layer in layers if _HEAD.fullmatch(layer)]
    embeds = [layer for layer in layers if layer not in heads and _EMBEDDING.fullmatch(layer)]
    message = f"it holds the same values as {_listed(names[1:])} but is not one tensor with it"
    severity: Severity = "info"
    if embeds and heads:
        message += ", as an embedding and the output head that was tied to it do"
        if subject.network.format in _TIES:
            severity = "warning"
        else:
            message += "; this format keeps no ties, so they must be made again on loading"
    return Finding(names[0], message, evidence, severity)


def _candidates(subject: Subject, limits: Limits) -> Iterator[list[Tensor]]:
    """Give the parameters of equal shapes, types and tables."""
    alike: defaultdict[Hashable, list[Tensor]] = defaultdict(list)
    for tensor in subject.parameters:
        if (tensor.count or 0) >= limits["least-values"]:
            alike[tensor.shape, tensor.dtype.name].append(tensor)
    for tensors in alike.values():
        if len(tensors) < 2:
            continue
        by_state: defaultdict[bytes, list[Tensor]] = defaultdict(list)
        for tensor in tensors:
            table, found = subject.table(tensor), subject.statistics(tensor)
            # Constants, and what has but two values, are equal by chance.
            if table is not None and found is not None and found.distinct > 2:
                by_state[table.to_bytes()[-4:] + found.entropy_bits.hex().encode()].append(tensor)
        yield from (same for same in by_state.values() if len(same) > 1)


def _confirmed(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Part tensors into those that hold the same values in the same places.

    Each is held against the first of those it may be equal to; nearly always that is one.
    """
    groups: list[list[Tensor]] = []
    for tensor in tensors:
        mine = next((group for group in groups if _equal(group[0], tensor)), None)
        if mine is None:
            groups.append([tensor])
        else:
            mine.append(tensor)
    yield from (same for same in groups if len(same) > 1)


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one shape and type are equal, bit for bit; False if not read."""
    import numpy as np

    try:
        return all(
            np.array_equal(np.frombuffer(a, np.uint8), np.frombuffer(b, np.uint8))
            for a, b in zip(_pieces(one), _pieces(other), strict=True)
        )
    except WeighError:
        return False


def _pieces(tensor: Tensor) -> Iterator[memoryview]:
    """Give the bytes of a tensor as they are stored, in the order of its axes.

    Tensors of one shape and type are cut at the same places, however they lie.
    """
    raw, dtype = reader_of(tensor.values), tensor.dtype
    # Those of fewer bits, and of blocks, begin within a byte.
    lies = dtype.bits >= 8 and dtype.block == 1
    start = 0
    for region in boxes(tensor.shape or (), _PIECE):
        stop = start + prod(region.counts)
        if raw is not None and lies:
            yield raw(start, stop)
        else:
            array = tensor.values.read(region)
            yield bytes_of(array if dtype.family in DEQUANTIZED else encoded(array, dtype))
        start = stop


def _joined(groups: Sequence[Sequence[str]]) -> list[tuple[list[str], list[str]]]:
    """Join groups of names that differ in the same way: the roots, and what follows each.

    Examples:
        >>> _joined([["a.0.w", "a.1.w"], ["a.0.b", "a.1.b"]])
        [(['a.0', 'a.1'], ['w', 'b'])]
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for names in groups:
        split = [name.split(".") for name in names]
        length = 0
        shortest = min(map(len, split))
        while length < shortest - 1 and len({parts[-1 - length] for parts in split}) == 1:
            length += 1
        roots = tuple(".".join(parts[: len(parts) - length]) for parts in split)
        found.setdefault(roots, []).append(".".join(split[0][len(split[0]) - length :]))
    return [(list(roots), parts) for roots, parts in found.items()]


def _name(root: str, part: str) -> str:
    return f"{root}.{part}" if root and part else root or part


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else ""
