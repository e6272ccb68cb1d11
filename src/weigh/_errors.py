"""Every error Weigh raises on purpose.

    WeighError
    ├── SourceError           the source cannot be read
    │   ├── FormatError       its bytes break the format's rules, or are made to do harm
    │   └── UnsupportedError  a format or a feature Weigh does not read, or needs an extra for
    ├── UnknownNameError      no layer or tensor has that name, or none matches the pattern
    ├── IndexingError         an index such as ``[7, :2]`` does not fit the tensor
    ├── ValuesError           the tensor is there, but its values are not (meta, lazy)
    └── UsageError            the call itself makes no sense

A message is one line: what is wrong, what was seen, what to do. Inner code raises the bare
fact; the function the user called adds where, once, with ``at``.
"""

from __future__ import annotations

from typing import Self

from weigh._pattern import pattern

_SECRET = pattern(r"(\b[a-zA-Z][a-zA-Z0-9+.-]+://)(?:[^\s/?#]*@)?([^\s?]*)(?:\?\S*)?")
"""A URL: what follows its scheme up to "@", and what follows "?", may let one in."""


class WeighError(Exception):
    """The base of every error Weigh raises on purpose."""

    def __init__(self, what: str, *, seen: str = "", do: str = "", where: str = "") -> None:
        super().__init__(what)
        self.what, self.seen, self.do, self.where = what, seen, do, where

    def at(self, where: str) -> Self:
        """Say where it happened, unless an inner caller already did."""
        self.where = self.where or without_secrets(where)
        return self

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.seen:
            text += f"; saw {self.seen}"
        if self.do:
            text += f". {self.do}"
        return printable(without_secrets(text))


class SourceError(WeighError):
    """The source cannot be read."""


class FormatError(SourceError):
    """The source's bytes break the format's rules."""


class UnsupportedError(SourceError):
    """A format or a feature that Weigh does not read (yet), or that needs an extra."""


class UnknownNameError(WeighError, AttributeError, LookupError):
    """No layer or tensor has that name, or none matches that pattern."""


class IndexingError(WeighError, IndexError):
    """An index does not fit the tensor."""


class ValuesError(WeighError):
    """A tensor's values cannot be had: it is on the meta device, or not made yet."""


class UsageError(WeighError, ValueError):
    """The call itself makes no sense."""


def without_secrets(text: str) -> str:
    """Leave out of every URL in a text what lets one in: a password, a signed query.

    Examples:
        >>> without_secrets("https://me:secret@example.org/a.pt?X-Amz-Signature=ab")
        'https://example.org/a.pt'
    """
    return _SECRET.sub(r"\1\2", text) if "://" in text else text


def printable(text: str) -> str:
    r"""Make a text that came from a file safe to show on a terminal, on one line.

    Control characters, line ends, direction overrides and lone surrogates are shown as
    Python escapes; all other text is left as it is.

    Examples:
        >>> printable("conv1\x1b[2J.weight")
        'conv1\\x1b[2J.weight'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
