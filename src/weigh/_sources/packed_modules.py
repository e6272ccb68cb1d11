"""Quantized modules of ``torch.ao.nn``, which keep their weights packed in opaque objects.

Pickled, such an object is its state: the weights as plain quantized tensors. They are stated as
tensors of the module that the object serves, under the names that it would unpack them to.
"""

from __future__ import annotations

from collections.abc import Iterator

from weigh._sources.module_tree import ModuleView, plain_value
from weigh._sources.pickled import Call, pairs_of
from weigh._sources.plain_text import key_text

HOMES = (
    "torch.ao.nn.quantized.",
    "torch.ao.nn.intrinsic.quantized.",
    "torch.ao.nn.sparse.quantized.",
    "torch.nn.quantized.",
    "torch.nn.intrinsic.quantized.",
)
_CONV = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "transposed",
    "output_padding", "groups", "padding_mode", "weight", "bias", "scale", "zero_point",
)  # fmt: skip
"""What a quantized convolution's state is a tuple of, ``training`` coming last."""


def complete_packed(made: ModuleView, thing: Call) -> None:
    """Add to what a quantized module says of itself; leave others as they are."""
    if not made.class_path.startswith(HOMES) or "reference" in made.class_path:
        return
    held = dict(made.children)
    rest = dict(made.rest)
    packed: list[tuple[str, object]] = []
    state = _first(thing.states)
    if isinstance(state, tuple) and len(state) == len(_CONV) + 1:
        packed = _convolution(made, state)
    elif isinstance(inner := held.get("_packed_params"), Call):
        packed = _linear(made, inner)
        _drop(made, "_packed_params")
    elif "_all_weight_values" in held:
        packed = _recurrent(held["_all_weight_values"], made.attributes.get("bidirectional"))
        _drop(made, "_all_weight_values")
    elif "_packed_weight_ih" in rest:
        pair = [rest.get("_packed_weight_ih"), rest.get("_packed_weight_hh")]
        packed = _pairs_of_cell(pair, "")
    taken = {name for name, _, _ in made.slots}
    found = [(n, one) for n, one in packed if isinstance(one, Call) and n not in taken]
    made.slots += [(name, "other", one) for name, one in found]
    made.packed = frozenset(name for name, _ in found)
    # A cell keeps its biases a second time, as plain attributes.
    made.rest = [row for row in made.rest if row[0] not in made.packed]


def is_packed_convolution(thing: Call, class_path: str) -> bool:
    """Whether a pickled object is a quantized convolution, whose state is a tuple."""
    state = _first(thing.states)
    fits = isinstance(state, tuple) and len(state) == len(_CONV) + 1
    return fits and class_path.startswith(HOMES)


def _drop(made: ModuleView, name: str) -> None:
    made.children = [(one, child) for one, child in made.children if one != name]


def _first(things: object) -> object:
    return things[0] if isinstance(things, list | tuple) and things else None


def _at(things: object, index: int) -> object:
    fits = isinstance(things, list | tuple) and len(things) > index
    return things[index] if fits else None  # type: ignore[index]


def _convolution(made: ModuleView, state: tuple[object, ...]) -> list[tuple[str, object]]:
    given = dict(zip(_CONV, state, strict=False))
    weights = [(name, given.pop(name)) for name in ("weight", "bias")]
    for name, value in given.items():
        plain, known = plain_value(value)
        if plain:
            made.attributes[name] = known
    made.attributes["bias"] = weights[1][1] is not None
    return weights


def _own(thing: object) -> Iterator[tuple[str, object]]:
    """Give what an object's state sets by name."""
    for key, value in pairs_of(_first(thing.states)) or () if isinstance(thing, Call) else ():
        yield key_text(key), value


def _unpacked(thing: object) -> object:
    """Give what an opaque object was made of: ``((weight, bias), class)`` without the class."""
    return _first(_first(thing.states)) if isinstance(thing, Call) else None


def _linear(made: ModuleView, inner: Call) -> list[tuple[str, object]]:
    """Take the weights of a Linear or an embedding, and of which type they are."""
    own = dict(_own(inner))
    plain, dtype = plain_value(own.get("dtype"))
    if plain and dtype is not None:
        made.attributes["dtype"] = dtype
    if "_packed_weight" in own:  # an embedding: (version, [weight], [scales], [bits])
        return [("weight", _first(_at(_unpacked(own["_packed_weight"]), 1)))]
    pair = _unpacked(own.get("_packed_params"))
    return [("weight", _at(pair, 0)), ("bias", _at(pair, 1))]


def _recurrent(values: object, both: object) -> list[tuple[str, object]]:
    """Take the weights of a recurrent layer: each cell is a module of its own."""
    cells = next((table for name, table in _own(values) if name == "_modules"), None)
    named: list[tuple[str, object]] = []
    directions = 2 if both is True else 1
    for i, (_, cell) in enumerate(pairs_of(cells) or ()):
        packed = next((thing for name, thing in _own(cell) if name == "param"), None)
        pair = _at(_unpacked(packed), 4)
        end = f"_l{i // directions}{'_reverse' if i % directions else ''}"
        named += _pairs_of_cell(pair, end)
    return sorted(named, key=lambda row: row[0].startswith("bias"))


def _pairs_of_cell(pair: object, end: str) -> list[tuple[str, object]]:
    """Take the two matrices of a cell, and their biases."""
    both = [_unpacked(_at(pair, i)) for i in (0, 1)]
    return [
        (f"{what}_{part}{end}", _at(one, place))
        for place, what in enumerate(("weight", "bias"))
        for part, one in zip(("ih", "hh"), both, strict=True)
    ]
