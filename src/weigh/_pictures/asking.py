"""Asking a terminal what it can do, and reading what it answers."""

from __future__ import annotations

import os
import re
import sys
from typing import IO

from weigh._record import changed, record

PATIENCE = 0.5
"""Seconds after which a terminal that says nothing has nothing to say."""

_KITTY = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_BACKGROUND = b"\x1b]11;?\x1b\\"
_CELL = b"\x1b[16t"
_GRAPHICS = b"\x1b[?1;1;0S\x1b[?2;1;0S"
_WHO = b"\x1b[c"
"""Every terminal answers this one, in the order of asking: after it nothing more will come."""

_WHO_ANSWERED = re.compile(rb"\x1b\[\?([\d;]*)c")
_KITTY_ANSWERED = re.compile(rb"\x1b_Gi=31;OK\x1b\\")
_BACKGROUND_ANSWERED = re.compile(
    rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})"
)
_CELL_ANSWERED = re.compile(rb"\x1b\[6;(\d{1,3});(\d{1,3})t")
_REGISTERS_ANSWERED = re.compile(rb"\x1b\[\?1;0;(\d{1,6})S")
_MOST_ANSWERED = re.compile(rb"\x1b\[\?2;0;(\d{1,6});(\d{1,6})S")
_MOST_BYTES = 4096
_SIXEL = b"4"


@record(frozen=True)
class Answers:
    """What a terminal said of itself.

    Attributes:
        kitty: whether it shows pictures by kitty's protocol.
        sixel: whether it shows pictures made of sixels.
        background: its colour behind letters, each part from 0 to 1; None if it did not say.
        cell: how wide and how high a letter is, in pixels; None if it did not say.
        registers: how many colours a picture made of sixels may have.
        most: how wide and how high such a picture may be; None if it did not say.
    """

    kitty: bool = False
    sixel: bool = False
    background: tuple[float, float, float] | None = None
    cell: tuple[int, int] | None = None
    registers: int = 256
    most: tuple[int, int] | None = None


def may_ask(stream: IO[str]) -> bool:
    """Whether a stream's terminal would answer us: we read from it, and are in the foreground.

    A process in the background would be stopped when it changes the terminal's mode, and what
    somebody typed in advance is for the next program, so then nothing is asked either.
    """
    try:
        import select
        import termios

        put, got = stream.fileno(), sys.stdin.fileno()
        return (
            os.isatty(put)
            and os.isatty(got)
            and os.ttyname(put) == os.ttyname(got)
            and os.tcgetpgrp(got) == os.getpgrp()
            and bool(termios.tcgetattr(got)[3] & termios.ICANON)
            and not select.select([got], [], [], 0)[0]
        )
    except (ImportError, AttributeError, OSError, ValueError):
        return False  # Windows; a stream that is closed or has no number
    except termios.error:
        return False


def ask(stream: IO[str], *, pictures: bool = True, patience: float = PATIENCE) -> Answers:
    """Ask a terminal what pictures it can show, and for its background.

    Args:
        stream: what writes to it; ``may_ask`` was true of it.
        pictures: whether to ask for pictures, or for the background alone.
        patience: for how many seconds to wait for each of at most two answers.
    """
    questions = (_KITTY + _CELL if pictures else b"") + _BACKGROUND
    answers = read_answers(_asked(stream, questions, patience))
    if answers.sixel and not answers.kitty and pictures:
        # Only those that know sixels know this question; others might scroll.
        said = _asked(stream, _GRAPHICS, patience)
        registers, most = _REGISTERS_ANSWERED.search(said), _MOST_ANSWERED.search(said)
        if registers and int(registers[1]) >= 2:
            answers = changed(answers, registers=min(int(registers[1]), 256))
        if most and int(most[1]) and int(most[2]):
            answers = changed(answers, most=(int(most[1]), int(most[2])))
    return answers


def read_answers(said: bytes) -> Answers:
    r"""Tell what a terminal's answers mean, in whatever else it sent.

    Examples:
        >>> read_answers(b"\x1b]11;rgb:ffff/ffff/0000\x07\x1b[6;20;10t\x1b[?62;4;22c")
        Answers(..., sixel=True, background=(1.0, 1.0, 0.0), cell=(10, 20), ...)
    """
    who, cell = _WHO_ANSWERED.search(said), _CELL_ANSWERED.search(said)
    background = _BACKGROUND_ANSWERED.search(said)
    # The first number says which terminal it is like, the others what it can do.
    able = who[1].split(b";")[1:] if who else []
    height, width = (int(cell[1]), int(cell[2])) if cell else (0, 0)
    return Answers(
        kitty=bool(_KITTY_ANSWERED.search(said)),
        sixel=_SIXEL in able,
        background=(_part(background[1]), _part(background[2]), _part(background[3]))
        if background
        else None,
        cell=(width, height) if width and height else None,
    )


def _part(digits: bytes) -> float:
    return int(digits, 16) / float(int(b"f" * len(digits), 16))


def _asked(stream: IO[str], questions: bytes, patience: float) -> bytes:
    """Give what a terminal says until it has answered the last question, or patience ends."""
    import select
    import termios
    import time

    stream.flush()
    put, got = stream.fileno(), sys.stdin.fileno()
    before = termios.tcgetattr(got)
    quiet = [*before[:3], before[3] & ~(termios.ICANON | termios.ECHO), *before[4:]]
    said = b""
    try:
        # What was typed stays (no flush), and Ctrl-C still interrupts.
        termios.tcsetattr(got, termios.TCSADRAIN, quiet)
        os.write(put, questions + _WHO)
        end = time.monotonic() + patience
        while len(said) < _MOST_BYTES and not _WHO_ANSWERED.search(said):
            left = end - time.monotonic()
            if left <= 0 or not select.select([got], [], [], left)[0]:
                break
            # Byte by byte: what comes after the last answer was typed for somebody else.
            byte = os.read(got, 1)
            if not byte:
                break
            said += byte
    finally:
        termios.tcsetattr(got, termios.TCSADRAIN, before)
    return said
