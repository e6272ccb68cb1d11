"""What DeepSpeed states beside the weights: shapes, buffers, names of one parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from weigh._errors import FormatError
from weigh._facts import Role
from weigh._sources.pickled import pairs_of
from weigh._sources.stored import count_of
from weigh._sources.torch_storages import integers

_MAX_NAMES, _MAX_NAME = 300_000, 4096

Shapes = dict[str, tuple[int, ...]]


@dataclass(slots=True)
class Stated:
    """What the first file of model states says beside the weights.

    Attributes:
        shapes: of every parameter that is trained.
        frozen: of every one that is not.
        shared: names of parameters that are another one, by that one's name.
        buffers: names of buffers.
    """

    shapes: Shapes
    frozen: Shapes
    shared: dict[str, str]
    buffers: set[str]


def stated_by(top: Mapping[str, object]) -> Stated:
    """Read what a file of model states says.

    Raises:
        FormatError: a parameter is in two groups, or a shape is none.
    """
    shapes: Shapes = {}
    listed = top.get("param_shapes")
    for group in listed if isinstance(listed, list) else [listed]:
        for name, shape in _shapes(group).items():
            if name in shapes:
                raise FormatError("a parameter is in two groups", seen=repr(name[:200]))
            shapes[name] = shape
    shared = {
        name: other
        for name, other in members(top.get("shared_params")).items()
        if isinstance(other, str)
    }
    buffers = top.get("buffer_names")
    named = {name for name in buffers if isinstance(name, str)} if isinstance(buffers, list) else ()
    return Stated(shapes, _shapes(top.get("frozen_param_shapes")), shared, set(named))


def _shapes(thing: object) -> Shapes:
    shapes = {name: integers(shape) for name, shape in members(thing).items()}
    for shape in shapes.values():
        count_of(shape)
    return shapes


def members(thing: object) -> dict[str, object]:
    """Give a pickled mapping's members; of what is none, none.

    Raises:
        FormatError: there are over 300,000 of them.
    """
    pairs = pairs_of(thing) or ()
    if len(pairs) > _MAX_NAMES:
        raise FormatError("the checkpoint names far too many things", seen=f"{len(pairs):,}")
    return {key: value for key, value in pairs if isinstance(key, str) and len(key) <= _MAX_NAME}


def roles_of(stated: Stated, clean: Callable[[str], str]) -> dict[str, tuple[Role, bool | None]]:
    """Give what each tensor of the network is, and whether it is trained."""
    roles: dict[str, tuple[Role, bool | None]] = {}
    for names, role in (
        (stated.shapes, ("parameter", True)),
        (stated.frozen, ("parameter", False)),
        (stated.buffers, ("buffer", None)),
    ):
        roles |= {clean(name): cast(tuple[Role, bool | None], role) for name in names}
    for name, other in stated.shared.items():
        if clean(other) in roles:
            roles[clean(name)] = roles[clean(other)]
    return roles
