"""How numbers are written: those of a tensor as PyTorch has it, single ones to four digits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from weigh._dtypes import DType
from weigh._record import record

_WIDEST_RATIO = 1e3
_LARGEST_FIXED = 1e8
_SMALLEST_FIXED = 1e-4
_SMALLEST_E8M0 = 2.0**-127


@record(frozen=True)
class RealFormat:
    """Writes each number of a tensor in one style, filled up from the left to one width.

    Attributes:
        style: writes one number.
        width: the characters a number takes at least; the layout of lines counts on it.
    """

    style: Callable[[Any], str]
    width: int

    def __call__(self, number: Any) -> str:
        """Write one number."""
        return self.style(number).rjust(self.width)


@record(frozen=True)
class ComplexFormat:
    """Writes complex numbers; their real and imaginary parts each have a format of their own."""

    real: RealFormat
    imag: RealFormat

    @property
    def width(self) -> int:
        """The characters a number takes, the ``j`` counted and the sign between parts not."""
        return self.real.width + self.imag.width + 1

    def __call__(self, number: complex) -> str:
        """Write one number."""
        imag = self.imag(number.imag).lstrip()
        sign = "" if imag.startswith("-") else "+"
        return f"{self.real(number.real)}{sign}{imag}j"


NumberFormat = RealFormat | ComplexFormat


def number_format(dtype: DType, numbers: Sequence[Any], precision: int) -> NumberFormat:
    """Choose the format in which PyTorch would write these numbers.

    Args:
        dtype: the tensor's type, which decides between whole, real and complex numbers.
        numbers: all the numbers that will be shown, as Python's own.
        precision: the digits after the point.

    Examples:
        >>> from weigh._dtypes import DTYPES
        >>> write = number_format(DTYPES["float32"], [0.5, -12.25], 4)
        >>> write(0.5)
        '  0.5000'
    """
    if dtype.family == "complex":
        return ComplexFormat(
            _float_format([number.real for number in numbers], precision),
            _float_format([number.imag for number in numbers], precision),
        )
    if dtype.name == "float8_e8m0fnu":
        return _e8m0_format(numbers, precision)
    if dtype.family in ("float", "quantized"):
        return _float_format(numbers, precision)
    return _sized(str, numbers)


def _float_format(numbers: Sequence[float], precision: int) -> RealFormat:
    """Measure the numbers that are neither zero nor infinite nor NaN; the rest set no width."""
    return _measured([n for n in numbers if n and math.isfinite(n)], precision)


def _e8m0_format(numbers: Sequence[float], precision: int) -> RealFormat:
    """Measure powers of two that have no zero.

    PyTorch takes the smallest of them for zero, as rounding 0 to this type gives it, and NaN
    for finite, as the type has no infinity to tell it from.
    """
    return _measured([n for n in numbers if n != _SMALLEST_E8M0], precision)


def _measured(numbers: Sequence[float], precision: int) -> RealFormat:
    """Choose the style for the numbers that count, and measure them in it."""
    if _needs_exponent(numbers):
        return _sized(lambda number: f"{number:.{precision}e}", numbers)
    if all(number.is_integer() for number in numbers):
        return _sized(_integral, numbers)
    return _sized(lambda number: f"{number:.{precision}f}", numbers)


def _needs_exponent(numbers: Sequence[float]) -> bool:
    """Whether the numbers are too large, too small or too far apart for a fixed point."""
    sizes = [abs(number) for number in numbers]
    if not sizes or any(math.isnan(size) for size in sizes):
        return False
    least, most = min(sizes), max(sizes)
    return most / least > _WIDEST_RATIO or most > _LARGEST_FIXED or least < _SMALLEST_FIXED


def _integral(number: float) -> str:
    """Write a whole number with a point at its end, by which it is known for a float."""
    return f"{number:.0f}." if math.isfinite(number) else str(number)


def _sized(style: Callable[[Any], str], numbers: Sequence[Any]) -> RealFormat:
    """Make the format that is as wide as the longest of these numbers."""
    return RealFormat(style, max((len(style(number)) for number in numbers), default=1))


def number_text(value: float) -> str:
    """Write a number to four digits, in as few letters as that takes.

    Examples:
        >>> [number_text(x) for x in (0.0123456, -1.0, 123456.7, 3e-9)]
        ['0.01235', '-1', '1.235e+05', '3e-09']
    """
    if value and math.isfinite(value) and 4 <= math.log10(abs(value)) < 5:
        return f"{value:.0f}"
    return f"{value:.4g}"
