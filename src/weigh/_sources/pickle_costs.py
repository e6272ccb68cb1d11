"""About how much memory each instruction of a pickle takes, in bytes, so that all is bounded.

A cost is that of the object that is made and of its place on the stack, less the places of what
was taken off it. The length of a text and the pairs of a mapping are charged where they are known,
and the cost of a mark is given back where it is taken up.
"""

from __future__ import annotations

A_PLACE, AN_ENTRY, A_PAIR = 10, 112, 72
"""The memory of a place in a list, in a dict of places, and of a pair in a mapping."""

A_MARK = 76

COSTS = bytearray([A_PLACE]) * 256
"""By the code of the instruction."""
for _codes, _cost in (
    ("JMGF", 42),
    ("IL\x8a\x8b", 58),
    ("\x8c\x8dXSVUTCB\x8e\x96", 74),
    ("\x85\x87", 64),
    ("\x86", 72),
    ("t", 66),
    ("]", 66),
    ("(l", A_MARK),
    ("}d\x8f\x91", 110),
    ("a", 40),
    ("s", 104),
    ("R\x81io", 84),
    ("\x92", 168),
    ("b", 100),
    ("PQ", 60),
):
    for _code in _codes.encode("latin-1"):
        COSTS[_code] = _cost
