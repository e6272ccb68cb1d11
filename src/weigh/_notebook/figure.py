"""A picture in a notebook: as SVG in both themes, of which the style sheet shows one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weigh._pictures.figure import Figure

ROOM = 700_000
"""So many letters both pictures may have."""
_CELLS = 1 << 18
"""So many cells are sure to be too many."""


def figure_html(figure: Figure) -> str:
    """Show a picture, which says below itself what must be said of it.

    Both themes are in the output, since only the page knows which it has, and may change it. The
    dark one is marked hidden, for what shows outputs without their style.
    """
    light, dark = _drawn(figure)
    if len(light) + len(dark) > ROOM:
        return (
            '<p class="weigh-note weigh-missing">This picture is too large for an output; '
            "its save('picture.png') writes it to a file.</p>"
        )
    # What scrolls must be reached by keyboard, and then has a name.
    scrolls = 'tabindex="0" role="group" aria-label="picture"'
    made = f'<div class="weigh-scroll weigh-light" {scrolls}>{light}</div>'
    made += f'<div class="weigh-scroll weigh-dark" {scrolls} hidden>{dark}</div>'
    return f'<figure class="weigh-figure">{made}</figure>'


def _drawn(figure: Figure) -> tuple[str, str]:
    """Draw it in both themes; a picture of too many cells is brought to fewer."""
    from weigh._pictures.picture import Picture

    if not isinstance(figure, Picture):
        return figure.svg("light"), figure.svg("dark")
    from weigh._notebook.thinned import thinned

    side, shown = 1, figure
    while True:
        if shown.sheet.codes.size <= _CELLS:
            light, dark = shown.svg("light"), shown.svg("dark")
            if len(light) + len(dark) <= ROOM or shown.sheet.codes.size <= 1:
                return light, dark
        side += 1
        shown = thinned(figure, side)
