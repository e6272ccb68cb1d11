"""Regular expressions that are compiled when they are first used: many never are."""

from __future__ import annotations

import re
from typing import Any, cast


class _Late:
    """Stands for a pattern, whose methods it takes over one by one as they are asked for."""

    def __init__(self, text: str, flags: int) -> None:
        self._made_of = (text, flags)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what copying, pickling and doctest ask of any object
            raise AttributeError(name)
        method = getattr(re.compile(*self._made_of), name)  # compiled once: re keeps it
        setattr(self, name, method)
        return method


def pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Give what ``re.compile`` gives, without compiling it yet.

    Examples:
        >>> pattern("[a-z]+").fullmatch("abc") is not None
        True
    """
    return cast("re.Pattern[str]", _Late(text, flags))
