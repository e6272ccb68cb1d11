"""Which way a terminal shows pictures, and how large they can be there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import IO, Literal, get_args

from weigh._errors import UsageError
from weigh._pictures.asking import Answers, ask, may_ask
from weigh._pictures.colours import Theme
from weigh._record import record

Protocol = Literal["kitty", "sixel", "half", "plain"]
"""Pixels by kitty's graphics protocol, pixels as sixels, two coloured cells a letter by half
blocks, or letters without colour."""

CHOICE = "WEIGH_PICTURES"
"""The environment variable that chooses a protocol."""

_TRUE_COLOUR = ("truecolor", "24bit")
_TRUE_TERMS = ("xterm-kitty", "xterm-ghostty", "foot", "alacritty", "wezterm", "contour")
_TRUE_PROGRAMS = ("iTerm.app", "WezTerm", "ghostty", "vscode", "mintty", "rio")
_KITTY_TERMS = ("xterm-kitty", "xterm-ghostty")
_SIXEL_TERMS = ("foot", "yaft", "mlterm")
_LIGHT = ("7", "9", "10", "11", "12", "13", "14", "15")
"""What COLORFGBG calls a light background; 8 is a dark grey."""


@record(frozen=True)
class Terminal:
    """Where a picture is written.

    Attributes:
        protocol: how.
        theme: whether letters there are dark on light.
        columns: how many letters fit beside each other.
        lines: how many lines are seen at once; 0 where nothing scrolls away, as in a file.
        true_colour: whether it has all colours, not only xterm's 256.
        letters: whether the stream can write block letters; else there is only ASCII.
        cell: how wide and how high a letter is, in pixels; None if that is not known.
        registers: how many colours a picture made of sixels may have.
        most: how wide and how high such a picture may be.
    """

    protocol: Protocol
    theme: Theme = "dark"
    columns: int = 80
    lines: int = 0
    true_colour: bool = True
    letters: bool = True
    cell: tuple[int, int] | None = None
    registers: int = 256
    most: tuple[int, int] | None = None


def terminal_of(
    stream: IO[str],
    environ: Mapping[str, str] = os.environ,
    *,
    protocol: Protocol | None = None,
    theme: Theme | None = None,
    ask: Callable[..., Answers] = ask,
) -> Terminal:
    """Tell how a stream shows pictures.

    A choice counts first, that of the argument before that of ``WEIGH_PICTURES``. A pipe,
    ``NO_COLOR`` and ``TERM=dumb`` mean letters without colour. A terminal is asked what it can
    do where it would answer; else its name decides. Within tmux and screen, which pass no
    pixels on, and where nothing is known of pixels, cells are half blocks; where there are but
    16 colours they are letters. The background decides the theme: what the terminal says of
    it, then ``COLORFGBG``, then dark, as most are.

    Args:
        stream: where it is written.
        environ: the environment.
        protocol: the protocol that was chosen.
        theme: the theme that was chosen.
        ask: what asks the terminal.

    Raises:
        UsageError: there is no such protocol.
    """
    chosen = _chosen(protocol, environ)
    letters, answers, terminal = _has_letters(stream), Answers(), stream.isatty()
    columns, lines, cell = _size(stream, environ)
    if chosen is None and not _coloured(terminal, environ):
        chosen = "plain"
    if chosen == "half" and not letters:
        chosen = "plain"  # they could not be written
    if chosen != "plain" and terminal and not _deaf(environ) and may_ask(stream):
        answers = ask(stream, pictures=not _multiplexed(environ))
    return Terminal(
        protocol=chosen or _best(answers, environ, letters=letters),
        theme=theme or _theme(answers, environ),
        columns=columns,
        lines=lines,
        true_colour=_depth(environ) == 24 or not terminal,
        letters=letters,
        cell=answers.cell or cell,
        registers=answers.registers,
        most=answers.most,
    )


def _chosen(protocol: str | None, environ: Mapping[str, str]) -> Protocol | None:
    where, name = ("", protocol) if protocol else (f"{CHOICE}=", environ.get(CHOICE))
    for each in get_args(Protocol):
        if name == each:
            return each  # type: ignore[no-any-return] # get_args does not say of what
    if not name or name == "auto":
        return None
    raise UsageError(
        "there is no such way to show pictures",
        seen=f"{where}{name}",
        do=f"There are: {', '.join(get_args(Protocol))}.",
    )


def _coloured(terminal: bool, environ: Mapping[str, str]) -> bool:  # noqa: FBT001
    return terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _best(answers: Answers, environ: Mapping[str, str], *, letters: bool) -> Protocol:
    term = environ.get("TERM", "")
    if not _multiplexed(environ):
        if answers.kitty or term in _KITTY_TERMS:
            return "kitty"
        if answers.sixel or term.startswith(_SIXEL_TERMS):
            return "sixel"
    return "half" if letters and _depth(environ) >= 8 else "plain"


def _depth(environ: Mapping[str, str]) -> int:
    """How many bits a colour has: 24, 8 or 4."""
    term = environ.get("TERM", "")
    # screen tells itself 256 colours, whatever the terminal around it has.
    if not environ.get("STY") and (
        environ.get("COLORTERM") in _TRUE_COLOUR
        or environ.get("TERM_PROGRAM") in _TRUE_PROGRAMS
        or environ.get("WT_SESSION")
        or term.startswith(_TRUE_TERMS)
        or term.endswith("-direct")
    ):
        return 24
    return 8 if "256color" in term else 4


def _multiplexed(environ: Mapping[str, str]) -> bool:
    term = environ.get("TERM", "")
    return bool(environ.get("TMUX") or environ.get("STY") or term.startswith(("tmux", "screen")))


def _deaf(environ: Mapping[str, str]) -> bool:
    """Whether a terminal is known to print questions instead of answering them."""
    return (
        environ.get("TERM_PROGRAM") == "Apple_Terminal"
        or bool(environ.get("INSIDE_EMACS"))
        or bool(environ.get("STY"))
        or environ.get("TERM", "") in ("", "linux")
    )


def _theme(answers: Answers, environ: Mapping[str, str]) -> Theme:
    if answers.background is not None:
        red, green, blue = answers.background
        return "light" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "dark"
    return "light" if environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT else "dark"


def _has_letters(stream: IO[str]) -> bool:
    try:
        "▀░≡".encode(getattr(stream, "encoding", None) or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _size(stream: IO[str], environ: Mapping[str, str]) -> tuple[int, int, tuple[int, int] | None]:
    """Give the columns and lines of a stream, and the pixels of a letter, if known."""
    wide = environ.get("COLUMNS", "")
    columns = int(wide) if wide.isdecimal() and 0 < int(wide) < 10_000 else 0
    try:
        number = stream.fileno()
        size = os.get_terminal_size(number)
    except (AttributeError, OSError, ValueError):
        return columns or 80, 0, None
    return columns or size.columns or 80, size.lines or 24, _letter(number)


def _letter(number: int) -> tuple[int, int] | None:
    try:
        import fcntl
        import struct
        import termios

        packed = fcntl.ioctl(number, termios.TIOCGWINSZ, b"\0" * 8)
    except (ImportError, OSError):
        return None
    lines, columns, width, height = struct.unpack("HHHH", packed)
    if not (lines and columns and width >= columns and height >= lines):
        return None
    return width // columns, height // lines
