"""A picture of too many cells for an output, brought to fewer: of each few, one is shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from weigh._pictures.colours import ABOVE, GAP, MIDDLE, NAN, NEGINF, POSINF
from weigh._pictures.picture import Picture
from weigh._pictures.sheet import Label
from weigh._record import changed

_WORST = {NEGINF: 997, POSINF: 998, NAN: 999}
_GREY = 128
_ODD = 996
_OUTSIDE = 255
"""No code of a cell: what is beyond the last row and column."""


def thinned(picture: Picture, side: int) -> Picture:
    """Bring squares of cells together, each shown as the worst in it, or the furthest from 0.

    Args:
        picture: the picture, whose caption stays: it tells of all cells.
        side: how many cells go down and to the right in a square.

    Examples:
        >>> import weigh
        >>> picture = weigh.open({"a": np.array([[1.0, -4.0, 2.0], [0.0, 3.0, np.nan]])})["a"]
        >>> thinned(picture.picture(), 2).sheet.codes.tolist()  # -4, NaN
        [[6, 1]]
    """
    sheet = picture.sheet
    codes = _squares(sheet.codes, side)
    rgb = None if sheet.rgb is None else _squares(sheet.rgb, side)
    rank = np.abs(codes.astype(np.int16) - MIDDLE)
    if rgb is not None:
        rank += np.abs(rgb.astype(np.int16) - _GREY).sum(axis=-1, dtype=np.int16)
    rank[codes <= ABOVE] = _ODD
    for code, worst in _WORST.items():
        rank[codes == code] = worst
    rank[codes == GAP] = -1
    rank[codes == _OUTSIDE] = -2
    # What separates must not close up; but nothing odd goes for it.
    gaps, there = (codes == GAP).sum(axis=-1), (codes != _OUTSIDE).sum(axis=-1)
    gone = (2 * gaps >= there) & (rank.max(axis=-1) < _ODD)
    chosen = rank.argmax(axis=-1)[..., None]
    made = np.take_along_axis(codes, chosen, -1)[..., 0]
    made[gone] = GAP
    colours = None if rgb is None else np.take_along_axis(rgb, chosen[..., None], 2)[:, :, 0]
    thin = changed(
        sheet,
        codes=made,
        rgb=colours,
        rows=_labels(sheet.rows, side),
        columns=_labels(sheet.columns, side),
    )
    said = f"Fewer cells are shown: of {side} x {side}, the one furthest from 0. Saved, it has all."
    return changed(picture, sheet=thin, _caption=(*picture.caption, said))


def _squares(cells: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """Put the cells of each square behind each other, on the axis after rows and columns."""
    rows, columns, *rest = cells.shape
    room = [(0, -rows % side), (0, -columns % side), *((0, 0) for _ in rest)]
    padded = np.pad(cells, room, constant_values=_OUTSIDE)
    high, wide = padded.shape[0] // side, padded.shape[1] // side
    parts = padded.reshape(high, side, wide, side, *rest).swapaxes(1, 2)
    return parts.reshape(high, wide, side * side, *rest)


def _labels(labels: tuple[Label, ...], side: int) -> tuple[Label, ...]:
    return tuple(Label(label.start // side, -(-label.stop // side), label.text) for label in labels)
