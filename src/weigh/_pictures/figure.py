"""What all pictures can do: become SVG, PNG or letters, and be saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from os import PathLike, fspath
from typing import TYPE_CHECKING

from weigh._errors import SourceError, UsageError
from weigh._shown import Shown

if TYPE_CHECKING:
    from weigh._pictures.colours import Theme
    from weigh._pictures.shapes import Drawing


_LARGE = 1200


class Figure(Shown, ABC):
    """A picture, whatever it shows."""

    __slots__ = ()

    @property
    @abstractmethod
    def caption(self) -> tuple[str, ...]:
        """What must be said of it, in sentences."""

    @abstractmethod
    def drawing(self) -> Drawing:
        """Give the shapes that it is drawn with."""

    @abstractmethod
    def text(self, width: int = 80, *, ascii_only: bool = False) -> str:
        """Draw it in letters.

        Args:
            width: how many columns there are.
            ascii_only: whether all letters are ASCII.
        """

    def svg(self, theme: Theme = "light") -> str:
        """Write it as SVG, which needs nothing else.

        Args:
            theme: ``"light"`` or ``"dark"``.
        """
        # Drawing is loaded when something is drawn.
        from weigh._pictures.svg import svg_text

        return svg_text(self.drawing(), _known(theme))

    def png(self, theme: Theme = "light", *, zoom: int | None = None) -> bytes:
        """Encode it as PNG; its title and its caption travel with it.

        Args:
            theme: ``"light"`` or ``"dark"``.
            zoom: how many pixels make one of CSS. If left out, 2, which is crisp on today's
                screens, and 1 of a picture that is large anyhow.
        """
        from weigh._pictures.png import png_bytes
        from weigh._pictures.raster import colours_of, pixels_of

        drawing = self.drawing()
        if zoom is None:
            zoom = 2 if max(drawing.width, drawing.height) <= _LARGE else 1
        if zoom < 1:
            raise UsageError(f"a zoom is 1 or more, not {zoom}")
        pixels = pixels_of(drawing, _known(theme), zoom)
        texts = {
            "Title": drawing.title,
            "Description": drawing.description or " ".join(self.caption),
            "Software": "Weigh",
        }
        return png_bytes(pixels, texts=texts, kept=colours_of(drawing, theme))

    def save(self, path: str | PathLike[str], theme: Theme = "light") -> None:
        """Write it to a file, as what the end of its name says: ``.svg`` or ``.png``.

        Args:
            path: the file, which is written over.
            theme: ``"light"`` or ``"dark"``.

        Raises:
            UsageError: the name ends otherwise.
            SourceError: the file cannot be written.
        """
        name = fspath(path)
        check_ending(name)
        vector = name.lower().endswith(".svg")
        data = self.svg(theme).encode("utf-8") if vector else self.png(theme)
        try:
            with open(name, "wb") as file:  # noqa: PTH123 # pathlib takes long to load
                file.write(data)
        except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
            why = error.strerror if isinstance(error, OSError) else None
            raise SourceError(f"cannot be written: {why or error}", where=name) from None


def check_ending(name: str) -> None:
    """Refuse the name of a file that is neither of the two that a picture becomes.

    Raises:
        UsageError: it ends otherwise.
    """
    if not name.lower().endswith((".svg", ".png")):
        raise UsageError(
            "pictures are saved as SVG or PNG",
            seen=repr(name),
            do="Let the name end in .svg or .png.",
        )


def _known(theme: Theme) -> Theme:
    """Refuse a theme that there is none of."""
    from weigh._pictures.colours import THEMES

    if theme not in THEMES:
        raise UsageError(f"there is no theme {theme!r}", do=f"There are: {', '.join(THEMES)}.")
    return theme
