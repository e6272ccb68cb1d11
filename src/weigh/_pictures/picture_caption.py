"""What is said below a picture, so that nobody takes it for more than it shows."""

from __future__ import annotations

from weigh._pictures.colours import NEGATIVE_NAME, POSITIVE_NAME
from weigh._pictures.sheet import Reducer, Sheet
from weigh._pictures.words import number_text

REDUCERS: dict[Reducer, str] = {
    "extreme": "the value furthest from 0, with its sign",
    "rms": "the root of the mean square",
    "mean": "the mean",
}
"""What a cell shows of several values."""

COMPLEX = "A complex value stands as its real or imaginary part, whichever is further from 0."


def caption_of(sheet: Sheet, words: str, *, parts: bool = False) -> tuple[str, ...]:
    """Say what a picture's colours mean, where they end, and what was read.

    Args:
        sheet: the picture's cells.
        words: what number the limit is.
        parts: whether values are complex, of which one part is shown.
    """
    arrangement, colours, odd = _arrangement(sheet), _colours(sheet, words), _odd(sheet)
    told = (arrangement, colours, _cells(sheet), COMPLEX if parts else "", odd)
    return tuple(sentence for sentence in told if sentence)


def _arrangement(sheet: Sheet) -> str:
    down, right = sheet.y_name, sheet.x_name
    if down and right:
        return f"Down: {down}; to the right: {right}."
    return f"To the right: {right}." if right else f"Down: {down}." if down else ""


def _colours(sheet: Sheet, words: str) -> str:
    if sheet.limits is not None:
        low, high = map(number_text, sheet.limits)
        ends = f"limits from ±{low} to ±{high}, {words}"
    elif sheet.limit:
        ends = f"limits ±{number_text(sheet.limit)}, {words}"
    else:
        ends = "all finite values are 0" if words != "no value is finite" else words
    if sheet.rgb is not None:
        names = f"{sheet.colour_name} 0, 1, 2 are red, green and blue"
        return f"{names}, brighter is larger; grey is 0; {ends}."
    return f"{POSITIVE_NAME.capitalize()} is positive, {NEGATIVE_NAME} negative; {ends}."


def _cells(sheet: Sheet) -> str:
    each = "A cell is one value" if sheet.rgb is None else "A cell is one value of each colour"
    if sheet.reducer is not None:
        each = f"A cell is {REDUCERS[sheet.reducer]}, of up to {sheet.per_cell:,} values"
        each += "" if sheet.rgb is None else " of each colour"
    if sheet.shown < sheet.values:
        share = 100 * sheet.shown / sheet.values
        return (
            f"{each}; sampled: {sheet.shown:,} of {sheet.values:,} values were read "
            f"({share:.2g} %), the limits are those of the sample."
        )
    if sheet.values == 1:
        return f"{each}; it was read."
    return f"{each}; all {sheet.values:,} values were read."


def _odd(sheet: Sheet) -> str:
    parts = [
        f"{count:,} {word}"
        for count, word in ((sheet.nan, "NaN"), (sheet.posinf, "+Inf"), (sheet.neginf, "-Inf"))
        if count
    ]
    shared = sheet.reducer or sheet.rgb is not None
    what = "Cells that hold" if shared else "Values that are"
    odd = f"{what} {', '.join(parts)}, marked. " if parts else ""
    clipped = sheet.below + sheet.above
    if not clipped:
        return f"{odd}Nothing is clipped."
    noun = "cell" if shared else "value"
    ends = [
        f"{count:,} {way} the limit"
        for count, way in ((sheet.below, "below minus"), (sheet.above, "above"))
        if count
    ]
    return f"{odd}Clipped: {clipped:,} {noun}{'s' if clipped > 1 else ''}, {' and '.join(ends)}."
