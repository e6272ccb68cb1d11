"""How a reader wants a tensor arranged: ``"o i h w -> (o h) (i w)"``, in the manner of einops."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._errors import UsageError
from weigh._pattern import pattern
from weigh._record import record

_TOKEN = pattern(r"[()]|[^\s()]+")
_NAME = pattern(r"[A-Za-z_][A-Za-z_0-9]*")
HOW = (
    "Write a name for each axis, then what goes down and what goes right: 'o i h w -> (o h) (i w)'."
)


@record(frozen=True)
class Layout:
    """An arrangement as it was asked for.

    Attributes:
        axes: for each axis of the tensor its name, or the names of the parts it is cut into, the
            outer first; none for an axis of 1.
        rows: what goes down, the outer first.
        columns: what goes to the right.
        colour: the name of the axis of red, green and blue, if there is one.
    """

    axes: tuple[tuple[str, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    colour: str = ""


def parse_layout(text: str) -> Layout:
    """Parse a layout.

    Raises:
        UsageError: it is none: a name is missing on one side or stands twice.

    Examples:
        >>> parse_layout("(r c) 1 h w -> (r h) (c w)").axes
        (('r', 'c'), (), ('h',), ('w',))
    """
    left, arrow, right = text.partition("->")
    if not arrow:
        raise UsageError("a layout has an arrow, '->'", seen=repr(text), do=HOW)
    axes, sides = _groups(left, text), _groups(right, text)
    if len(sides) not in (2, 3):
        raise UsageError(
            "to the right of '->' stands what goes down, what goes to the right and, if it is "
            "one of 3, the axis of colours",
            seen=repr(right.strip()),
            do=HOW,
        )
    colour = sides[2] if len(sides) == 3 else ()
    if len(colour) > 1:
        raise UsageError("colours are one axis", seen=repr(right.strip()), do=HOW)
    given = [name for axis in axes for name in axis]
    used = [name for side in sides for name in side]
    if sorted(given) != sorted({*used}) or len(given) != len({*given}) or len(used) != len(given):
        raise UsageError(
            "each name stands once on either side of '->'", seen=repr(text.strip()), do=HOW
        )
    return Layout(axes, sides[0], sides[1], colour[0] if colour else "")


def layout_of_axes(names: Sequence[str], rows: str, columns: str) -> Layout:
    """Give the layout of two axes, the others being of 1."""
    axes = tuple((name,) if name in (rows, columns) else () for name in names)
    return Layout(axes, (rows,), (columns,))


def _groups(side: str, text: str) -> tuple[tuple[str, ...], ...]:
    """Read names and names in brackets; ``1`` and ``()`` are no name."""
    groups: list[tuple[str, ...]] = []
    inside: list[str] | None = None
    for token in _TOKEN.findall(side):
        if token == "(" and inside is None:
            inside = []
        elif token == ")" and inside is not None:
            groups.append(tuple(inside))
            inside = None
        elif token == "1":
            if inside is None:
                groups.append(())
        elif _NAME.fullmatch(token):
            if inside is None:
                groups.append((token,))
            else:
                inside.append(token)
        else:
            raise UsageError(f"a layout has no {token!r} there", seen=repr(text.strip()), do=HOW)
    if inside is not None:
        raise UsageError("a bracket of the layout is not closed", seen=repr(text.strip()), do=HOW)
    return tuple(groups)
