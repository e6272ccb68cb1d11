"""Writing a document where a person or a pipe reads it."""

from __future__ import annotations

import os
from typing import IO

from weigh._views.document import Document
from weigh._views.text import Style, plain, render

_CODES = {
    "heading": "1", "name": "1", "title": "2", "detail": "2",
    "error": "1;31", "warning": "1;33", "info": "1;36",
}  # fmt: skip
"""Colours are an addition: how bad a finding is stands there as a word."""


def write(document: Document, stream: IO[str] | None) -> None:
    """Write a document: for a terminal to its width and in colour, else whole and plain.

    ``NO_COLOR`` (not empty) and ``TERM=dumb`` turn colour off; see https://no-color.org.
    """
    if stream is None:  # Python was started with standard output closed; print is silent too
        return
    terminal = stream.isatty()
    width = _columns() if terminal else None
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    style: Style = _coloured if colour else plain
    text = render(document, width=width, style=style) + "\n"
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # A name may hold letters that the stream's encoding lacks.
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def draws(stream: IO[str] | None) -> bool:
    """Whether small pictures made of letters can be shown: on a terminal that has the letters."""
    return stream is not None and stream.isatty() and has_letters(stream)


def has_letters(stream: IO[str]) -> bool:
    """Whether a stream can hold any letter."""
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _columns() -> int:
    from shutil import get_terminal_size  # a pipe does not need it

    return get_terminal_size().columns


def _coloured(text: str, role: str) -> str:
    code = _CODES.get(role)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text
