"""What notebooks ask a thing for: each that is worth showing is ``Shown``."""

from __future__ import annotations

from collections.abc import Container
from importlib import import_module


class Shown:
    """Something that a notebook shows as HTML, and a terminal as the text it always was."""

    __slots__ = ()

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        # What shows it is built on what is shown, and loaded only when a notebook asks.
        made: dict[str, str] = import_module("weigh._notebook.bundle").bundle(
            self, include, exclude
        )
        return made
