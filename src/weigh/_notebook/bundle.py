"""What a notebook is told when it asks how something is shown: text, and HTML beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Mapping
from importlib import import_module
from importlib.resources import files
from typing import Any

from weigh._errors import WeighError, printable
from weigh._views.html import safe
from weigh._views.text import render

LONGEST = 300_000
"""So many letters the text may have: a report on thousands of tensors is printed as megabytes."""
_MAKERS = {
    "Layer": "weigh._notebook.tree:layer_html",
    "Tensor": "weigh._notebook.tensor:tensor_html",
    "StatisticsReport": "weigh._notebook.reports:statistics_html",
    "CheckReport": "weigh._notebook.reports:check_html",
    "DiffReport": "weigh._notebook.reports:diff_html",
    "PathReport": "weigh._notebook.reports:path_html",
    "Figure": "weigh._notebook.figure:figure_html",
}
"""What makes the HTML of a class, and of those made from it."""
_REPORTS = {
    "StatisticsReport": "weigh._notebook.reports:statistics_document_of",
    "CheckReport": "weigh._notebook.reports:check_document",
    "DiffReport": "weigh._notebook.reports:diff_document",
    "PathReport": "weigh._notebook.reports:path_document",
}
"""What makes the document that the command line prints: the text of a report is no ``repr``."""
_WIDTH = 100


def bundle(
    thing: object, include: Container[str] | None = None, exclude: Container[str] | None = None
) -> dict[str, str]:
    """Give a thing as text and as HTML, whatever of it is asked for.

    Nothing is raised: what goes wrong is said in the text, since a notebook would print a
    traceback in place of the thing.

    Args:
        thing: a network, a layer, a tensor, a report or a picture.
        include: the types that are wanted; all if None.
        exclude: types that are not.
    """
    made: dict[str, str] = {}
    text = _plain(thing)
    if _wanted("text/plain", include, exclude):
        made["text/plain"] = text
    if _wanted("text/html", include, exclude) and not (include is None and _in_terminal()):
        made["text/html"] = _html(thing, text)
    return made


def _wanted(kind: str, include: Container[str] | None, exclude: Container[str] | None) -> bool:
    return (include is None or kind in include) and (exclude is None or kind not in exclude)


def _in_terminal() -> bool:
    """Whether IPython runs in a terminal, which asks for everything and shows the text alone."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    formatter = getattr(shell, "display_formatter", None)
    active = getattr(formatter, "active_types", None)
    return active is not None and "text/html" not in active


def _plain(thing: object) -> str:
    """Print it as a terminal does, a report as its command; say why where that does not work."""
    try:
        document = _named(_REPORTS, thing)
        text = repr(thing) if document is None else render(document(thing), width=_WIDTH)
    except WeighError as error:
        return str(error)
    except Exception as error:  # a user's __repr__ may raise anything
        return printable(f"printing it raised {type(error).__name__}: {error}")
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n... and {len(text) - LONGEST:,} more letters; print it to see all."


def _html(thing: object, text: str) -> str:
    try:
        inside = _maker(thing)(thing, text)
    except Exception as error:  # a notebook would print a traceback
        inside = f"This cannot be shown: {type(error).__name__}: {error}"
        inside = f'<p class="weigh-note weigh-missing">{safe(inside, 2000)}</p>'
    return f'<div class="weigh-view">\n<style>{style()}</style>\n{inside}\n</div>'


def _maker(thing: object) -> Callable[[object, str], str]:
    make = _named(_MAKERS, thing)
    assert make is not None  # all that is shown has one
    if make.__name__ == "layer_html":
        return lambda thing, text: make(thing, text)
    return lambda thing, _: make(thing)


def _named(makers: Mapping[str, str], thing: object) -> Callable[..., Any] | None:
    """Find what a table has for the class of a thing, or for one that it is made from."""
    name = next((base.__name__ for base in type(thing).__mro__ if base.__name__ in makers), None)
    if name is None:
        return None
    module, _, function = makers[name].partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def style() -> str:
    """Give the style sheet, which every output carries: each may be shown alone."""
    return files("weigh._notebook").joinpath("style.css").read_text("utf-8")
