"""The instructions of a pickle that push plain values: numbers, texts and bytes."""

from __future__ import annotations

import codecs
import struct
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from weigh._errors import FormatError
from weigh._sources.long_values import LONG, LongText
from weigh._sources.pickle_operation import U1, U2, U4, U8, Operation, constant

if TYPE_CHECKING:
    from weigh._sources.pickles import Machine

_MAX_INTEGER = 1024
"""Making a number of text takes time that grows with the square of its length."""

_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")


def _number(form: struct.Struct) -> Operation:
    def operation(m: Machine) -> None:
        m.stack.append(m.unpack(form))

    return operation


def _text(form: struct.Struct) -> Operation:
    def operation(m: Machine) -> None:
        length = m.unpack(form)
        if length >= LONG:
            m.stack.append(LongText(m.leave(length)))
            return
        text = str(m.take(length), "utf-8", "surrogatepass")
        # One wide letter makes all of them wide.
        m.charge(length if text.isascii() else sys.getsizeof(text))
        m.stack.append(text)

    return operation


def _bytes(form: struct.Struct, made: Callable[[bytes], object] = bytes) -> Operation:
    def operation(m: Machine) -> None:
        length = m.unpack(form)
        if length >= LONG:
            m.stack.append(m.leave(length))
            return
        m.charge(length)
        m.stack.append(made(m.take(length)))

    return operation


def _old_text(form: struct.Struct) -> Operation:
    """Python 2's byte strings, which held text."""
    return _bytes(form, lambda data: data.decode("latin-1"))


def _binary_integer(form: struct.Struct) -> Operation:
    def operation(m: Machine) -> None:
        length = m.unpack(form)
        if length > _MAX_INTEGER:
            raise FormatError(
                "the pickle has an integer of enormous size", seen=f"{length:,} bytes"
            )
        m.charge(length + length // 8)
        m.stack.append(int.from_bytes(m.take(length), "little", signed=True))

    return operation


def _decimal(m: Machine) -> None:
    """INT and LONG: digits, perhaps with an L; 00 and 01 are truth values."""
    line = m.line()
    if line in (b"00", b"01"):
        m.stack.append(line == b"01")
        return
    if len(line) > _MAX_INTEGER:
        raise FormatError(
            "the pickle has an integer of enormous size", seen=f"{len(line):,} digits"
        )
    m.charge(len(line) // 2)
    m.stack.append(int(line.removesuffix(b"L") or b"0"))


def _decimal_float(m: Machine) -> None:
    line = m.line()
    if len(line) > _MAX_INTEGER:
        raise FormatError("the pickle has a number of enormous length", seen=f"{len(line):,}")
    m.stack.append(float(line))


def _quoted(m: Machine) -> None:
    line = m.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise FormatError("the pickle has a text without quotes", seen=f"at byte {m.place:,}")
    with warnings.catch_warnings():  # an unknown escape stands for itself
        warnings.simplefilter("ignore", DeprecationWarning)
        text = codecs.escape_decode(line[1:-1])[0]
    m.charge(len(text))
    m.stack.append(text.decode("latin-1"))


def _escaped(m: Machine) -> None:
    text = m.line().decode("raw-unicode-escape")
    m.charge(4 * len(text))
    m.stack.append(text)


VALUES: dict[int, Operation] = {
    ord("N"): constant(None),
    0x88: constant(True),  # noqa: FBT003
    0x89: constant(False),  # noqa: FBT003
    ord("J"): _number(_I4),
    ord("K"): _number(U1),
    ord("M"): _number(U2),
    ord("G"): _number(_F8),
    ord("I"): _decimal,
    ord("L"): _decimal,
    ord("F"): _decimal_float,
    0x8A: _binary_integer(U1),
    0x8B: _binary_integer(U4),
    0x8C: _text(U1),
    ord("X"): _text(U4),
    0x8D: _text(U8),
    ord("S"): _quoted,
    ord("V"): _escaped,
    ord("U"): _old_text(U1),
    ord("T"): _old_text(U4),
    ord("C"): _bytes(U1),
    ord("B"): _bytes(U4),
    0x8E: _bytes(U8),
    0x96: _bytes(U8),
}
