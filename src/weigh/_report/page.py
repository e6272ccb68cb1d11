"""The page itself: the template, filled in, with styles and scripts that nothing can be added to.

A policy in the page lets no script and no style run but ours, told by their hashes, and asks no
network for anything. What comes from a file is data: JSON in which no ``<`` is left.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files

from weigh._errors import printable
from weigh._report.chunks import compact

_SCRIPTS = (
    "text.js", "data.js", "lines.js", "tree.js", "picture.js", "histogram.js", "statistics.js",
    "findings.js", "changes.js", "views.js", "search.js", "main.js",
)  # fmt: skip
"""One script of the page each, in this order."""

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def page(title: str, index: dict[str, object], chunks: Sequence[str], fallback: str) -> str:
    """Fill in the page.

    Args:
        title: of the window, plain text.
        index: what is told of the network at once.
        chunks: the rest, packed.
        fallback: what stands there without scripts, as HTML.
    """
    style, theme = _read("page.css"), _read("theme.js")
    script = "\n".join(['"use strict";\n(() => {', *map(_read, _SCRIPTS), "})();\n"])
    policy = "; ".join((
        "default-src 'none'",
        f"script-src {_hash(theme)} {_hash(script)}",
        f"style-src {_hash(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ))  # fmt: skip
    filled = {
        "title": escape(printable(title)),
        "policy": policy,
        "style": style,
        "theme": theme,
        "script": script,
        "index": as_data(index),
        "chunks": "".join(
            f'<script type="text/plain" id="chunk-{at}">{chunk}</script>\n'
            for at, chunk in enumerate(chunks)
        ),
        "fallback": fallback,
    }
    # All at once: what is filled in may hold what looks like a place.
    return _PLACE.sub(lambda place: filled[place[1]], _read("page.html"))


def as_data(value: object) -> str:
    """Write JSON that can stand in a page: nothing in it ends a script or begins a tag."""
    return compact(value).replace("<", "\\u003c")


def _read(name: str) -> str:
    return (files("weigh._report") / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
