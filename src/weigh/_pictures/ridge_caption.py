"""What must be said of a ridge, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._pictures.caption import many
from weigh._pictures.words import number_text

if TYPE_CHECKING:
    from weigh._pictures.ridge import Ridge

_NARROW = 12
"""Into how few bins the values of a row may fall before another axis is recommended."""


def ridge_caption(ridge: Ridge, *, in_letters: bool = False) -> tuple[str, ...]:
    """Say what a ridge shows, and what it leaves out.

    Args:
        ridge: what is drawn.
        in_letters: whether it is drawn in letters, which have no colours.
    """
    rows = ridge.rows
    made = [f"{many(len(rows), 'row')}, each with a height of its own."]
    if ridge.left_out:
        made = [
            f"The first {len(rows):,} of {len(rows) + ridge.left_out:,} rows, each with a height "
            "of its own."
        ]
    if not ridge.edges:
        return (*made, "There is no finite value to draw.")
    if not in_letters:
        bins = many(len(ridge.edges) - 1, "bin")
        made.append(f"Blue is how many values are in each of {bins}.")
    if ridge.least:
        made.append(
            f"The axis is about linear within ±{number_text(ridge.least)}, and logarithmic beyond."
        )
    if not in_letters and any(row.expected or row.constant is not None for row in rows):
        made.append("The dashed line is how the tensor begins by default.")
    outside = [row.outside for row in rows if row.outside]
    if outside:
        made.append(f"{many(sum(outside), 'value')} of {many(len(outside), 'row')} are outside.")
    odd = [row.odd for row in rows if row.odd]
    if odd:
        made.append(
            f"{many(sum(odd), 'value')} of {many(len(odd), 'row')} are NaN or infinite, and not "
            "drawn."
        )
    cut = sum(max(row.counts, default=0) > row.top for row in rows)
    if cut:
        made.append(f"The highest bin of {many(cut, 'row')} is cut.")
    narrow = sum(0 < sum(map(bool, row.counts)) < _NARROW for row in rows)
    if not ridge.least and narrow * 2 > len(rows) and len(rows) > 1:
        made.append("Most rows are narrow on this axis: a symmetric-logarithmic one shows more.")
    return tuple(made)
