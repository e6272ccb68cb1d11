"""Pictures that several tests draw; every number in them is one that all machines agree on."""

from __future__ import annotations

import numpy as np

from weigh._pictures.colours import ABOVE, BELOW, GAP, MIDDLE, NAN, NEGINF, POSINF
from weigh._pictures.shapes import Area, Box, Cells, Drawing, Glyph, Line, Shape, Text

_KINDS = ("nan", "posinf", "neginf", "below", "above")


def _everything() -> Drawing:
    codes = (np.arange(60) * 4 + 8).astype(np.uint8).reshape(5, 12)
    codes[1, 1:6] = NAN, POSINF, NEGINF, BELOW, ABOVE
    codes[3] = GAP
    codes[4, 0] = MIDDLE
    shapes: list[Shape] = [
        Text(10, 20, "All shapes: conv1.weight", 14, bold=True),
        Text(10, 36, "The quick brown fox jumps over the lazy dog, 0123456789", ink="muted"),
        Text(10, 52, "±0.5 × 3 − 1 ≤ 2 ≥ 1 · µ σ ² ° … – — 权 [0, :8] {a} <b> & 'c' \"d\"", 11),
        Text(310, 20, "end", 12, "end"),
        Text(160, 70, "middle", 12, "middle", whole="the whole of it"),
        Text(12, 150, "upright", 11, "middle", upright=True),
        Line(((20, 80), (20, 180)), "muted"),
        Line(((20, 180), (310, 180)), "muted"),
        Line(((20, 120), (310, 120)), "grid", 0.5),
        Line(((20, 140), (310, 140)), "grid", dashed=True),
        Line(((20, 180), (80, 100), (140, 160), (200, 90), (310, 170)), "expected", 1.5, True),
        Area(((40, 180), (40, 150), (90, 150), (90, 110), (170, 130), (220, 180)), "second", 0.35),
        Line(((40, 180), (40, 150), (90, 150), (90, 110), (170, 130), (220, 180)), "second", 1.25),
        Box(240, 130, 25, 50, "first", 0.5),
        Cells(20, 190, 10, codes),
        *(Glyph(35 + 10 * at, 205, 7, kind) for at, kind in enumerate(_KINDS)),  # type: ignore[arg-type]
        Cells(160, 190, 2.5, codes, np.full((5, 12, 3), 90, np.uint8)),
        *(Glyph(170 + 20 * at, 225, 9, kind, True) for at, kind in enumerate(_KINDS)),  # type: ignore[arg-type]
    ]
    return Drawing(320, 250, tuple(shapes), "All shapes", "One of each, and all signs.")


EVERYTHING = _everything()
