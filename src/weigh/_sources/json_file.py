"""Small JSON files that stand beside weights: read whole, in bounds, without recursion."""

from __future__ import annotations

import json

from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource
from weigh._sources.flat_json import Cursor

_MOST_TEXT, _MOST_VALUES = 2000, 64


def json_text(source: ByteSource, most: int) -> str:
    """Read a JSON file's text.

    Args:
        source: the file.
        most: the most bytes it may have.

    Raises:
        FormatError: it is longer, or not UTF-8.
    """
    if source.size > most:
        raise FormatError(
            "the JSON file is too long", seen=f"{source.size:,} bytes where {most:,} are the most"
        )
    try:
        return str(source.view(0, source.size), "utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("the JSON file is not UTF-8 text") from None


def plain_members(text: str) -> dict[str, object]:
    """Take an object's plain values: numbers, texts, truth values, null, and lists of these.

    Objects, nested lists and endless texts are passed over; of two equal keys the last counts,
    as in Python's reader.

    Raises:
        FormatError: the text is not a JSON object.

    Examples:
        >>> plain_members('{"heads": 12, "names": ["a"], "deep": {"x": [[1]]}}')
        {'heads': 12, 'names': ['a']}
    """
    # transformers writes an endless bound as Python does: [0.0, Infinity].
    cursor = Cursor(text, lenient=True)
    found: dict[str, object] = {}
    for key in cursor.members():
        cursor.peek()
        begin = cursor.at
        cursor.skip()
        raw = cursor.text[begin : cursor.at]
        if _is_plain(raw):
            found[key] = json.loads(raw)
    cursor.end()
    return found


def _is_plain(raw: str) -> bool:
    if len(raw) > _MOST_TEXT or raw.startswith("{"):
        return False
    if not raw.startswith("["):
        return True
    return not any(bracket in raw[1:] for bracket in "[{") and raw.count(",") < _MOST_VALUES
