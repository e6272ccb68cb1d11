"""Rules on the types of parameters, and on names that mean one tensor twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from weigh._checks.finding import Finding, Severity, Unsure
from weigh._checks.rule import Limits
from weigh._checks.subject import Subject
from weigh._model import Tensor

_NAMED = 20
_FULL = ("float16", "bfloat16", "float32", "float64")
"""Narrower floating types store quantized values, which need others beside them."""
_WRAPPER = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module)\.")
_OUTER = re.compile(r"^(?:(?:model|network|net)\.)+")


def mixed_dtype(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find learnable parameters of different floating types."""
    if any(map(_is_quantized, subject.tensors)):
        return
    by_type: defaultdict[str, list[Tensor]] = defaultdict(list)
    for tensor in subject.parameters:
        if tensor.learnable is not False and tensor.dtype.name in _FULL:
            by_type[tensor.dtype.name].append(tensor)
    if len(by_type) < 2:
        return
    values = {name: sum(t.count or 0 for t in tensors) for name, tensors in by_type.items()}
    most = max(values, key=lambda name: (values[name], len(by_type[name])))
    few = [tensor for name, tensors in by_type.items() if name != most for tensor in tensors]
    layers = list(dict.fromkeys(tensor.layer for tensor in few))
    evidence = {
        "tensors_by_dtype": {name: len(tensors) for name, tensors in by_type.items()},
        "values_by_dtype": values,
        "minority": [tensor.name for tensor in few[:_NAMED]],
        "layers": layers[:_NAMED],
    }
    are = "is" if len(few) == 1 else "are"
    message = f"{len(few):,} of its learnable parameters, in {_in(layers)}, {are} {_types(few)}, "
    message += f"and most are {most}"
    if all(_of_norm(subject, tensor) and tensor.dtype.bits >= 32 for tensor in few):
        message += "; norm layers are often kept in a wider type"
    yield Finding("", message, evidence)


def _is_quantized(tensor: Tensor) -> bool:
    dtype = tensor.dtype
    if tensor.packed or tensor.per_element > 1 or tensor.quantization or dtype.block > 1:
        return True
    if tensor.role not in ("parameter", "buffer"):
        return False
    narrow = dtype.family == "float" and dtype.bits < 16
    return dtype.family == "quantized" or narrow or _is_code(tensor)


def _is_code(tensor: Tensor) -> bool:
    """Whether a tensor holds integers that stand for weights."""
    return tensor.role == "parameter" and tensor.dtype.family in ("int", "uint")


def _of_norm(subject: Subject, tensor: Tensor) -> bool:
    layer = subject.layer_of(tensor)
    kind = "" if layer is None else layer.kind or ""
    return "norm" in f"{kind}.{tensor.layer.rpartition('.')[2]}".lower()


def _types(tensors: list[Tensor]) -> str:
    return " and ".join(dict.fromkeys(tensor.dtype.name for tensor in tensors))


def _in(layers: list[str]) -> str:
    named = f"layer {layers[0]}" if layers[0] else "the network itself"
    return f"{named} and {len(layers) - 1:,} more" if len(layers) > 1 else named


def duplicate_name(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find tensors whose names mean one: by a wrapper's prefix, by case, by slashes."""
    alike: defaultdict[str, list[Tensor]] = defaultdict(list)
    for tensor in (*subject.parameters, *subject.buffers):
        alike[_plain(tensor.name).casefold()].append(tensor)
    found: defaultdict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for tensors in alike.values():
        first, *rest = tensors
        for other in rest:
            if other.shape == first.shape:
                found[_difference(first.name, other.name)].append((first, other))
    for difference, pairs in found.items():
        first, other = pairs[0]
        names = [[a.name, b.name] for a, b in pairs[:_NAMED]]
        equal = _equal_tables(subject, pairs)
        more = f", and {len(pairs) - 1:,} more likewise" if len(pairs) > 1 else ""
        message = f"{other.name} means the same tensor by its name ({difference}){more}"
        severity: Severity | None = "info" if difference == "upper and lower case" else None
        evidence = {"count": len(pairs), "names": names, "equal_values": equal}
        yield Finding(first.name, message, evidence, severity)


def _equal_tables(subject: Subject, pairs: list[tuple[Tensor, Tensor]]) -> int | None:
    """Count the pairs whose values are alike; None where no values were read."""
    tables = [(subject.table(a), subject.table(b)) for a, b in pairs]
    known = [(a, b) for a, b in tables if a is not None and b is not None]
    return sum(a == b for a, b in known) if known else None


def _plain(name: str) -> str:
    """Leave out of a name what wrappers and outer modules put there, and what joins it.

    Examples:
        >>> _plain("module._orig_mod.model.fc/weight")
        'fc.weight'
    """
    bare = _WRAPPER.sub("", name.replace("/", "."))
    return _OUTER.sub("", bare) or bare


def _difference(a: str, b: str) -> str:
    if a.casefold() == b.casefold():
        return "upper and lower case"
    if a.replace("/", ".").casefold() == b.replace("/", ".").casefold():
        return "slashes for dots"
    short, long = sorted((a.replace("/", "."), b.replace("/", ".")), key=len)
    start = long[: len(long) - len(short)]
    return f"the prefix {start!r}" if long.endswith(short) else "a wrapper's prefix"
