"""NumPy's codes of types, such as ``<f4``."""

from __future__ import annotations

from weigh._dtypes import DTYPES, DType
from weigh._errors import UnsupportedError

_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex", "b": "bool"}


def numpy_type(code: str) -> DType:
    """Give the type that a code without its byte order (``f4``) stands for.

    Raises:
        UnsupportedError: it is of objects, text, dates, records or numbers that Weigh lacks.

    Examples:
        >>> numpy_type("f4").name, numpy_type("b1").name
        ('float32', 'bool')
    """
    family = _KINDS.get(code[:1], "")
    size = code[1:] if code[1:].isdecimal() and len(code) < 5 else "0"
    name = "bool" if family == "bool" and size == "1" else f"{family}{8 * int(size)}"
    if name not in DTYPES:
        raise UnsupportedError(f"dtype {code[:20]!r}")
    return DTYPES[name]
