"""Where a number is on an axis, linear or symmetric-logarithmic, and which ticks the axis has."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, copysign, expm1, floor, frexp, isfinite, log1p, log10
from sys import float_info

from weigh._measures.table import Scale
from weigh._pictures.words import number_text
from weigh._record import record

LARGEST = float_info.max
_SMALLEST = 5e-324


@record(frozen=True)
class Tick:
    """A number on an axis, and how it is written."""

    value: float
    label: str


@record(frozen=True)
class Ruler:
    """An axis from one number to another.

    Attributes:
        low: where it begins.
        high: where it ends.
        least: 0 for a linear one; else it is even in sign(x) log(1 + |x| / least): about linear
            as far as that on both sides of 0, and logarithmic beyond.
    """

    low: float
    high: float
    least: float = 0.0

    @property
    def scale(self) -> Scale:
        """What kind of axis it is."""
        return "symlog" if self.least else "linear"

    def place(self, value: float) -> float:
        """Say where a number is, from 0 at the beginning to 1 at the end.

        Examples:
            >>> Ruler(-1, 3).place(0), round(Ruler(-1, 1, 0.01).place(0.1), 3)
            (0.25, 0.76)
        """
        value = min(max(value, self.low), self.high)
        low, high, at = (self._even(x) for x in (self.low, self.high, value))
        return (at - low) / (high - low) if high > low else 0.5

    def _even(self, value: float) -> float:
        # Half of it, since the largest numbers are too far apart.
        return even(value, self.least) if self.least else value / 2

    def ticks(self, most: int = 8) -> tuple[Tick, ...]:
        """Choose ticks: nice numbers of a linear axis, else 0 and powers of ten.

        Examples:
            >>> [tick.label for tick in Ruler(-0.31, 0.47).ticks(5)]
            ['−0.2', '0', '0.2', '0.4']
            >>> [tick.label for tick in Ruler(-0.3, 20, 0.01).ticks()]
            ['−0.1', '−0.01', '0', '0.01', '0.1', '1', '10']
        """
        powers = self.powers()
        if len(powers) < 2:
            return linear_ticks(self.low, self.high, most)
        every = max(1, ceil(len(powers) / most))
        zero = next((at for at, tick in enumerate(powers) if not tick.value), 0)
        return tuple(tick for at, tick in enumerate(powers) if (at - zero) % every == 0)

    def powers(self) -> tuple[Tick, ...]:
        """Give 0 and the powers of ten of a symmetric-logarithmic axis, as far as it reaches."""
        if not self.least:
            return ()
        first = round(log10(self.least))
        below = range(first, _power(-self.low) + 1) if self.low < 0 else range(0)
        above = range(first, _power(self.high) + 1) if self.high > 0 else range(0)
        made = [Tick(-(10.0**k), f"−{_power_text(k)}") for k in reversed(below)]
        made += [Tick(0.0, "0"), *(Tick(10.0**k, _power_text(k)) for k in above)]
        return tuple(tick for tick in made if self.low <= tick.value <= self.high)


def even(value: float, least: float) -> float:
    """Give where a number is on a symmetric-logarithmic axis."""
    return copysign(log1p(abs(value) / least), value)


def uneven(place: float, least: float) -> float:
    """Give the number at a place of a symmetric-logarithmic axis.

    Examples:
        >>> round(uneven(even(-3.0, 0.1), 0.1), 9)
        -3.0
    """
    try:
        return copysign(min(least * expm1(abs(place)), LARGEST), place)
    except OverflowError:
        return copysign(LARGEST, place)


def _power(size: float) -> int:
    """Give the largest power of ten that is no larger."""
    power = floor(log10(size))
    return power if 10.0**power <= size else power - 1


def _power_text(power: int) -> str:
    """Write a power of ten.

    Examples:
        >>> [_power_text(power) for power in (-5, -3, 0, 4, 12)]
        ['1e−5', '0.001', '1', '10000', '1e12']
    """
    if -3 <= power <= 4:
        return f"{10.0**power:.{max(0, -power)}f}"
    return f"1e{power}".replace("-", "−")


def linear_ticks(low: float, high: float, most: int = 8) -> tuple[Tick, ...]:
    """Choose nice numbers between two: multiples of 1, 2 or 5 times a power of ten.

    Examples:
        >>> [tick.label for tick in linear_ticks(0, 1_300_000, 4)]
        ['0', '0.5M', '1M']
        >>> [tick.label for tick in linear_ticks(-3e-7, 5e-7, 5)]
        ['−2e−7', '0', '2e−7', '4e−7']
    """
    if not (isfinite(low) and isfinite(high) and low < high):
        return (Tick(low, number_text(low)),) if isfinite(low) else ()
    for factor, power in _steps((high / most) - (low / most)):
        step = factor * 10.0**power
        first, last = ceil(low / step), floor(high / step)
        if 0 <= last - first < most and max(abs(first), abs(last)) < 2**52:
            numbers = [number * factor for number in range(first, last + 1)]
            values = [float(f"{number}e{power}") for number in numbers]
            texts = _labels(numbers, power)
            ticks = [Tick(v, t) for v, t in zip(values, texts, strict=True)]
            inside = tuple(tick for tick in ticks if low <= tick.value <= high)
            if inside:
                return inside
    # Two numbers with next to nothing between them.
    return (Tick(low, number_text(low)), Tick(high, number_text(high)))


def _steps(least: float) -> Sequence[tuple[int, int]]:
    """Give nice steps in growing order, as (factor, power of ten), from the first large enough."""
    if least < 1e-300:
        return ()
    power = _power(least)
    steps = [(factor, power + more) for more in (0, 1) for factor in (1, 2, 5)]
    return [(f, p) for f, p in steps if p <= 307 and f * 10.0**p >= least * (1 - 1e-9)]


def _labels(numbers: Sequence[int], power: int) -> list[str]:
    """Write whole multiples of a power of ten: all in one way."""
    largest = max((abs(number) for number in numbers), default=0)
    digits = len(str(largest)) + power
    if power >= 3 and digits <= 15:
        unit, sign = next(
            (u, s) for u, s in ((12, "T"), (9, "G"), (6, "M"), (3, "k")) if u < digits
        )
        return [_fixed(number, power - unit, sign) for number in numbers]
    if power >= -5 and digits <= 6:
        return [_fixed(number, power) for number in numbers]
    whole = len(str(largest)) - 1
    return [
        _fixed(number, -whole, f"e{power + whole}".replace("-", "−")) if number else "0"
        for number in numbers
    ]


def _fixed(number: int, power: int, after: str = "") -> str:
    """Write a whole multiple of a power of ten with a point, without zeros at its end."""
    digits = str(abs(number))
    if power >= 0:
        text = digits + "0" * power
    else:
        digits = digits.rjust(1 - power, "0")
        text = f"{digits[:power]}.{digits[power:]}".rstrip("0").rstrip(".")
    if not number:
        return "0"
    return f"{'−' if number < 0 else ''}{text}{after}"


def bin_steps(least: float) -> list[float]:
    """Give widths of bins in growing order: 2 or 3 times a power of two, from the first enough.

    With bins of such widths no edge splits values that share their top 16 bits, as long as they
    are wide enough; and numbers of few bits lie in them evenly.

    Examples:
        >>> bin_steps(0.3)[:3]
        [0.375, 0.5, 0.75]
    """
    _, exponent = frexp(max(least, _SMALLEST))
    steps: list[float] = []
    for power in range(exponent - 2, exponent + 3):
        for factor in (2.0, 3.0):
            try:
                step = factor * 2.0**power
            except OverflowError:
                break
            if least <= step < float("inf") and step:
                steps.append(step)
    return steps
