"""Pickled plain values as short text: the epoch, the arguments, the learning rate."""

from __future__ import annotations

import struct

from weigh._errors import WeighError
from weigh._sources.long_values import LongText
from weigh._sources.pickled import Call, Global, pairs_of
from weigh._sources.pickled_arrays import numpy_dtype, raw_bytes

MAX_TEXT = 200
_MAX_SHOWN = 64
_SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_CODES = {
    "float16": "e", "float32": "f", "float64": "d", "bool": "?", "int8": "b", "int16": "h",
    "int32": "i", "int64": "q", "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q",
}  # fmt: skip


def key_text(key: object) -> str:
    """Give a mapping's key as part of a name.

    Examples:
        >>> key_text("conv1"), key_text(0), key_text((0, 1))
        ('conv1', '0', '(0, 1)')
    """
    if isinstance(key, str):
        return key
    if isinstance(key, LongText):
        return _shortened(key.head(MAX_TEXT + 1))
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    if isinstance(key, tuple) and len(key) <= 8 and all(map(_is_plain, key)):
        return _shortened(repr(key))
    return repr(key) if isinstance(key, int | float | None) else f"<{type(key).__name__}>"


def plain_text(thing: object) -> str | None:
    """Give a plain value, or a list or simple object of plain values, as text of one line.

    Returns:
        The text, at most 200 characters long; None when the thing holds more than plain values.

    Examples:
        >>> plain_text(0.5), plain_text("adam"), plain_text([1, 2]), plain_text([[1]])
        ('0.5', 'adam', '[1, 2]', None)
    """
    if isinstance(thing, str):
        return _shortened(thing)
    if isinstance(thing, LongText):
        return _shortened(thing.head(MAX_TEXT + 1))
    if _is_plain(thing):
        return _shortened(repr(thing))
    if isinstance(thing, Global):
        return thing.path
    if isinstance(thing, list | tuple):
        return _list_text(thing)
    if isinstance(thing, Call) and not (thing.states or thing.items or thing.pairs):
        return _scalar_text(thing) if thing.path in _SCALARS else _call_text(thing)
    return None


def _is_plain(thing: object) -> bool:
    return thing is None or isinstance(thing, bool | int | float | str | LongText)


def _list_text(things: list[object] | tuple[object, ...]) -> str | None:
    if not all(map(_is_plain, things)):
        return None
    if len(things) <= _MAX_SHOWN and len(text := _repr(things)) <= MAX_TEXT:
        return text
    return f"{len(things):,} values: {_shortened(_repr(things[:_MAX_SHOWN]), MAX_TEXT - 40)}"


def _head(thing: object) -> object:
    return thing.head(MAX_TEXT) if isinstance(thing, LongText) else thing


def _repr(things: list[object] | tuple[object, ...]) -> str:
    """Print a list whose texts may each be very long."""
    short = [one[:MAX_TEXT] if isinstance(one, str) else one for one in map(_head, things)]
    return repr(tuple(short) if isinstance(things, tuple) else short)


def _call_text(call: Call) -> str | None:
    """``torch.device('cpu')``: what a loader would call, and would here not be called."""
    given = call.arguments
    if not call.path or pairs_of(call) is not None or not isinstance(given, tuple):
        return None
    if len(given) > 8 or not all(map(_is_plain, given)):
        return None
    inside = _repr(list(given))[1:-1]
    return _shortened(f"{call.path}({inside})")


def _scalar_text(call: Call) -> str | None:
    """A NumPy number: ``scalar(dtype, bytes)``."""
    if not isinstance(call.arguments, tuple) or len(call.arguments) != 2:
        return None
    try:
        dtype, big_endian = numpy_dtype(call.arguments[0])
        form = struct.Struct((">" if big_endian else "<") + _CODES[dtype.name])
        raw = raw_bytes(call.arguments[1])
        return repr(form.unpack(raw.view(0, form.size))[0]) if raw.size == form.size else None
    except (WeighError, KeyError, struct.error, ValueError, TypeError, IndexError):
        return None


def _shortened(text: str, most: int = MAX_TEXT) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
