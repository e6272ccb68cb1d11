"""A grid's cells as letters without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._pictures.letters import code_letters, in_one_colour

if TYPE_CHECKING:
    from weigh._pictures.grid import Grid


def plain_lines(grid: Grid, across: int, *, in_ascii: bool = False) -> list[str]:
    """Draw a grid, a line for each row.

    Args:
        grid: its cells.
        across: how many letters each cell has.
        in_ascii: whether there is nothing but ASCII.

    Examples:
        >>> import numpy as np
        >>> from weigh._pictures.grid import fitted
        >>> from weigh._pictures.sheet import Sheet
        >>> sheet = Sheet(np.array([[6, 126, 246, 0, 1]], "uint8"), limit=1.0)
        >>> plain_lines(fitted(sheet, 9, 9), 2)
        ['≡≡··██  xx']
    """
    codes = grid.codes if grid.rgb is None else in_one_colour(grid.codes, grid.rgb)
    drawn = code_letters(in_ascii=in_ascii)[codes].repeat(across, axis=1)
    return ["".join(row).rstrip() for row in drawn.tolist()]
