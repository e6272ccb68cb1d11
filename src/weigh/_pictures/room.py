"""How large a sheet may be, and what of it is told to a plan."""

from __future__ import annotations

from weigh._errors import UsageError
from weigh._pictures.plan import Part, Plan, extent

MOST = (1024, 1024)
"""How many rows and columns a sheet has at most, if values have to be brought together for it."""
MOST_CELLS = 8192
"""How many may be asked for."""
WHOLE = 2
"""A sheet that is no more than so many times larger is shown without that."""
MOST_PLACES = 1 << 26
"""No sheet has more places than this, whatever is asked for."""
MOST_ALONG = 1 << 22
"""No axis is cut into more cells than this."""

ASPECT = 1.6
"""How much wider than high a grid is best."""


def fits(rows: int, columns: int, most: tuple[int, int]) -> bool:
    """Whether there is room for a sheet as it is."""
    within = rows <= WHOLE * most[0] and columns <= WHOLE * most[1]
    return within and rows * columns <= MOST_PLACES


def ways(size: int) -> list[int]:
    """Give the numbers of pictures in a row that are worth a look."""
    if size <= 64:
        return list(range(1, size + 1))
    return sorted({size, *(2**k for k in range(size.bit_length())), *range(1, 65)})


def numbers(size: int) -> tuple[str, ...]:
    """Number the steps of a part, if there are not too many to be read."""
    return tuple(map(str, range(size))) if size <= 64 else ()


def made(
    shape: tuple[int, ...],
    starts: dict[int, tuple[int, ...]],
    rows: list[Part],
    columns: list[Part],
    *,
    colour: int | None = None,
) -> Plan:
    """Make a plan, each position of an axis being a cell unless ``starts`` says otherwise.

    Raises:
        UsageError: its sheet would be too large.
    """
    cells = max((len(starts.get(a, range(size))) for a, size in enumerate(shape)), default=1)
    high, wide = extent(rows), extent(columns)
    if high * wide > MOST_PLACES or cells > MOST_ALONG:
        raise UsageError(
            f"a sheet of {high:,} x {wide:,} cells is too large to be made",
            do="Let values share cells, or take a slice of the tensor.",
        )
    every = tuple(starts.get(a) or tuple(range(size)) for a, size in enumerate(shape))
    return Plan(shape, every, tuple(rows), tuple(columns), colour)
