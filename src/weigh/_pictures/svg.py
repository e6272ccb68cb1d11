"""A drawing as SVG: one text that needs nothing else, and no style sheet."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import singledispatch
from itertools import groupby
from math import isfinite

from weigh._pictures.colours import MIDDLE, THEMES, Colour, Theme, palette
from weigh._pictures.outlines import DASH, halo, halo_ink, outline
from weigh._pictures.png import png_bytes
from weigh._pictures.shapes import Area, Box, Cells, Drawing, Glyph, Line, Point, Shape, Text
from weigh._pictures.words import plain_letters

FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Noto Sans',Arial,sans-serif"
_FURTHEST = 1e6


def svg_text(drawing: Drawing, theme: Theme = "light") -> str:
    """Write a drawing as SVG.

    Inks are colours in attributes and nothing has an identifier, so that it can stand in any
    page, several times too.

    Args:
        drawing: what is drawn.
        theme: ``"light"`` or ``"dark"``.

    Examples:
        >>> box = Box(1, 2, 3, 4, "text")
        >>> print(svg_text(Drawing(10, 8, (box,), "One <box>")).rstrip())
        <svg xmlns="http://www.w3.org/2000/svg" width="10" height="8" ...>
        <title>One &lt;box&gt;</title>
        <rect width="10" height="8" fill="#ffffff"/>
        <rect x="1" y="2" width="3" height="4" fill="#1b1f24"/>
        </svg>
    """
    width, height = number(drawing.width), number(drawing.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="{FONTS}" '
        'font-variant="tabular-nums">',
        f"<title>{escaped(drawing.title)}</title>",
    ]
    if drawing.description:
        lines.append(f"<desc>{escaped(drawing.description)}</desc>")
    paper = _colour(THEMES[theme].paper)
    lines.append(f'<rect width="{width}" height="{height}" fill="{paper}"/>')
    for of, shapes in groupby(drawing.shapes, type):
        if of is Glyph:
            lines += _glyphs([shape for shape in shapes if isinstance(shape, Glyph)], theme)
        else:
            lines += (_shape(shape, theme) for shape in shapes)
    return "\n".join([*lines, "</svg>"]) + "\n"


def number(value: float) -> str:
    """Write a length to a hundredth, in as few letters as that takes, the same on every machine.

    Examples:
        >>> [number(value) for value in (3.0, 0.126, -0.001, 12.5, float("nan"))]
        ['3', '.13', '0', '12.5', '0']
    """
    if not isfinite(value):
        value = 0.0
    text = f"{max(-_FURTHEST, min(value, _FURTHEST)):.2f}".rstrip("0").rstrip(".")
    if text.startswith("0."):
        return text[1:]
    if text.startswith("-0"):
        return f"-{text[2:]}" if text[2:] else "0"
    return text


def escaped(text: str) -> str:
    r"""Make a text one that XML takes for plain letters.

    Examples:
        >>> escaped('</title>\x00 & "so"')
        '&lt;/title&gt; &amp; &quot;so&quot;'
    """
    text = plain_letters(text).replace("&", "&amp;").replace("<", "&lt;")
    return text.replace(">", "&gt;").replace('"', "&quot;")


def _colour(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _ink(ink: str, theme: Theme) -> str:
    return _colour(getattr(THEMES[theme], ink))


@singledispatch
def _shape(shape: Shape, theme: Theme) -> str:  # noqa: ARG001
    raise TypeError(f"{type(shape).__name__} is no shape")


@_shape.register
def _(box: Box, theme: Theme) -> str:
    return (
        f'<rect x="{number(box.x)}" y="{number(box.y)}" width="{number(max(0.0, box.width))}" '
        f'height="{number(max(0.0, box.height))}" {_fill(box.fill, box.opacity, theme)}/>'
    )


@_shape.register
def _(line: Line, theme: Theme) -> str:
    straight = len({x for x, _ in line.points}) == 1 or len({y for _, y in line.points}) == 1
    more = ' shape-rendering="crispEdges"' if straight and not line.dashed else ""
    if line.dashed:
        dash, gap = (number(part * line.width) for part in DASH)
        more += f' stroke-dasharray="{dash} {gap}"'
    else:
        more += ' stroke-linecap="square"'
    return (
        f'<path d="{_path(line.points)}" fill="none" stroke="{_ink(line.ink, theme)}" '
        f'stroke-width="{number(line.width)}"{more}/>'
    )


@_shape.register
def _(area: Area, theme: Theme) -> str:
    return f'<path d="{_path(area.points)}z" {_fill(area.fill, area.opacity, theme)}/>'


@_shape.register
def _(text: Text, theme: Theme) -> str:
    x, y = number(text.x), number(text.y)
    more = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    more += ' font-weight="600"' if text.bold else ""
    more += f' transform="rotate(-90 {x} {y})"' if text.upright else ""
    title = f"<title>{escaped(text.whole)}</title>" if text.whole else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{number(text.size)}" '
        f'fill="{_ink(text.ink, theme)}"{more}>{title}{escaped(text.text)}</text>'
    )


@_shape.register
def _(cells: Cells, theme: Theme) -> str:
    rows, columns = cells.codes.shape
    if not rows or not columns:
        return "<g/>"
    data = b64encode(cells_png(cells, theme)).decode("ascii")
    return (
        f'<image x="{number(cells.x)}" y="{number(cells.y)}" '
        f'width="{number(columns * cells.zoom)}" height="{number(rows * cells.zoom)}" '
        'preserveAspectRatio="none" image-rendering="pixelated" '
        f'href="data:image/png;base64,{data}"/>'
    )


def cells_png(cells: Cells, theme: Theme = "light") -> bytes:
    """Encode cells as a PNG of a pixel each."""
    colours = palette(theme)
    if cells.rgb is None:
        return png_bytes(cells.codes, colours[: int(cells.codes.max()) + 1])
    plain = (cells.codes == MIDDLE)[..., None]
    return png_bytes((cells.rgb * plain + colours[cells.codes] * ~plain).astype("uint8"))


def _glyphs(glyphs: Sequence[Glyph], theme: Theme) -> Iterator[str]:
    """Write signs that follow each other as one path, and one for each colour behind them."""
    with_halo = sorted((glyph for glyph in glyphs if glyph.halo), key=lambda each: each.kind)
    for _, alike in groupby(with_halo, key=lambda each: each.kind):
        discs = list(alike)
        path = "".join(f"{_path(halo(glyph))}z" for glyph in discs)
        yield f'<path d="{path}" {_fill(halo_ink(discs[0]), 1.0, theme)}/>'
    path = "".join(f"{_path(outline(glyph))}z" for glyph in glyphs)
    yield f'<path d="{path}" {_fill("glyph", 1.0, theme)}/>'


def _fill(ink: str, opacity: float, theme: Theme) -> str:
    more = "" if opacity >= 1 else f' fill-opacity="{number(opacity)}"'
    return f'fill="{_ink(ink, theme)}"{more}'


def _path(points: Sequence[Point]) -> str:
    """Write a line from point to point; where one goes straight, a coordinate is left out."""
    made: list[str] = []
    x = y = ""
    for point in points:
        at_x, at_y = (number(value) for value in point)
        if not made:
            made.append(f"M{at_x} {at_y}")
        elif at_y == y:
            made.append(f"H{at_x}" if at_x != x else "")
        elif at_x == x:
            made.append(f"V{at_y}")
        else:
            made.append(f"L{at_x} {at_y}")
        x, y = at_x, at_y
    return "".join(made)
