"""Whether one tensor is still as it was drawn: by its last digits, or by its distribution."""

from __future__ import annotations

from functools import partial
from math import inf, log, log2, sqrt
from typing import TYPE_CHECKING, Any

from weigh._checks.rule import Limits
from weigh._checks.starts import Start, constants, decides, starts
from weigh._checks.subject import Subject
from weigh._checks.verdict import MOVED, UNKNOWN, Verdict
from weigh._errors import WeighError
from weigh._measures.channels import channel_axis
from weigh._measures.fit import Distribution, distance, top_deviation
from weigh._measures.statistics import Statistics
from weigh._model import Tensor
from weigh._record import changed as altered

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from weigh._measures.marks import Marks
    from weigh._measures.table import Table

    Array = np.ndarray[Any, Any]
    Looking = Callable[[Array, bool], Marks]

_FLOATS = {"float32": 2.0**-24, "float64": 2.0**-53, "bfloat16": 2.0**-8, "float16": 2.0**-11}
"""The types that are judged, and how far rounding moves a value, as a share of it."""
_FIRST_LOOK, _SECOND_LOOK = 1 << 12, 1 << 16
_DEVIATIONS = 5.0
"""Standard errors by which a moment may be off: by chance once in two million times."""
_TOP = 4.0
"""Where the top singular value is learned structure; see ``top_deviation``."""
_MOST_SPECTRUM = 1 << 22


def judge(subject: Subject, tensor: Tensor, limits: Limits, into: int | None = None) -> Verdict:
    """Judge one tensor.

    Args:
        subject: the network that it is of.
        tensor: the tensor.
        limits: the rule's thresholds.
        into: the inputs of each output of its layer.
    """
    found = subject.statistics(tensor)
    if found is None or not found.count or found.finite != found.count:
        return UNKNOWN
    known = constants(tensor)
    random = starts(tensor, into)
    if found.min == found.max and (found.count > 1 or not random):
        if found.min not in known:
            return MOVED if known and not random else UNKNOWN
        value = float(found.min or 0)
        return Verdict("start", "exact", constant=value, decides=decides(tensor))
    if tensor.initial is not None and tensor.initial.family == "constant":
        return MOVED
    if tensor.dtype.name not in _FLOATS:
        return UNKNOWN
    return _Look(subject, tensor, found, random, limits).verdict()


class _Look:
    """One tensor under examination."""

    def __init__(
        self,
        subject: Subject,
        tensor: Tensor,
        found: Statistics,
        random: list[Start],
        limits: Limits,
    ) -> None:
        self._subject, self._tensor, self._found = subject, tensor, found
        self._random, self._limits = random, limits
        self._count = found.count
        self._in_part = False  # whether some values are a generator's and others were changed
        self._rounding = max(_FLOATS[tensor.dtype.name], _held_rounding(found))
        # A float32 that holds narrower numbers was rounded since it was drawn.
        self._exact = self._rounding == _FLOATS[tensor.dtype.name] and found.dtype in (
            "float32",
            "float64",
        )

    def verdict(self) -> Verdict:
        likely = [start for start in self._random if self._may_be(start)]
        changed = False
        if self._exact:
            bits, start = self._marks(likely)
            if self._in_part:
                return MOVED
            if bits >= self._limits["bits"] + log2(len(self._random) + 1):
                return Verdict("start", "marks", start, bits=bits, tests=len(self._random) + 1)
            changed = bits < 0
        fitting = self._fitting(likely)
        if fitting is None:
            known = any(start.default for start in self._random)
            return MOVED if known or (self._random and self._count >= 1000) else UNKNOWN
        return fitting if not self._exact else _with_marks(fitting, bits, changed=changed)

    def _may_be(self, start: Start) -> bool:
        """Whether the extremes, the mean and the variance are those of a start."""
        found, of = self._found, start.distribution
        low, high = of.ends
        most = max(abs(low), abs(high)) * (1 + 2 * self._rounding)
        if found.min is None or found.max is None or max(-found.min, found.max) > most:
            return False
        if abs((found.mean or 0) - of.mean) > _DEVIATIONS * of.std / sqrt(self._count):
            return False
        ratio = ((found.std or 0) / of.std) ** 2 - 1
        return abs(ratio) <= _DEVIATIONS * sqrt((of.kurtosis + 2) / self._count) + 1 / self._count

    def _is_normal(self) -> bool:
        """Whether the moments are those of a normal distribution about 0, of any deviation."""
        found, n = self._found, self._count
        if found.kurtosis is None or found.skewness is None or not found.std:
            return False
        # Zeros that were set, such as the row of a padding, are not part of it.
        rest = 1 - found.sparsity if found.zeros < n / 2 else 1.0
        kurtosis = (found.kurtosis + 3) * rest - 3
        return (
            abs(found.mean or 0) <= _DEVIATIONS * found.std / sqrt(n)
            and abs(kurtosis) <= _DEVIATIONS * sqrt(24 / n) + 6 / n
            and abs(found.skewness) <= _DEVIATIONS * sqrt(6 / n)
        )

    def _marks(self, likely: list[Start]) -> tuple[float, str]:
        """Give the bits that speak for a generator, and the start; negative if they do not."""
        best: tuple[float, str] = (0.0, "")
        if self._is_orthogonal():
            return inf, "an orthogonal matrix"
        for start in likely:
            of = start.distribution
            if of.family != "uniform":
                continue
            bits = self._twice(partial(_uniform, of))
            if bits > 0:
                return bits, start.name
            best = min(best, (bits, start.name))
        if self._is_normal() and self._count >= 16:
            bits = self._twice(_normal)
            if bits > 0:
                return bits, f"normal, deviation {self._found.std:.3g}"
            if any(start.distribution.family == "normal" for start in likely):
                best = min(best, (bits, "normal"))
        return best

    def _is_orthogonal(self) -> bool:
        """Whether the rows or columns of a matrix are orthogonal and of one length.

        Saxe et al. 2014 (arXiv:1312.6120); training does not keep that to the last digits.
        """
        shape = self._tensor.shape or ()
        rows = shape[0] if shape else 0
        columns = self._count // rows if rows else 0
        if len(shape) < 2 or min(rows, columns) < 4 or self._count > _MOST_SPECTRUM:
            return False
        spread = self._subject.spread(self._tensor)
        wide = rows <= columns
        if wide and spread is not None and channel_axis(self._tensor) == 0:
            if spread[1] - spread[0] > 1e-3 * spread[1]:
                return False
        elif not self._is_normal():
            return False
        import numpy as np  # few tensors come so far

        try:
            matrix = self._tensor.read().reshape(rows, columns).astype(np.float64)
        except WeighError:
            return False
        gram = matrix @ matrix.T if wide else matrix.T @ matrix
        size = float(np.trace(gram)) / len(gram)
        return bool(size) and bool(np.abs(gram / size - np.eye(len(gram))).max() < 1e-4)

    def _twice(self, look: Looking) -> float:
        """Look at a few values, and if they have marks at more."""
        from weigh._measures.marks import NOTHING, as_drawn, sample

        try:
            bits = 0.0
            for most in (_FIRST_LOOK, _SECOND_LOOK):
                seen = NOTHING
                for part, tail in sample(self._tensor, most):
                    seen += look(as_drawn(part), tail)
                bits = seen.bits
                self._in_part = bits > 0 and seen.broken
                if bits <= 0 or seen.broken or seen.values >= self._count or self._count <= most:
                    break
            return bits
        except WeighError:
            return 0.0

    def _fitting(self, likely: list[Start]) -> Verdict | None:
        """Give the start that the distribution fits best, or that it is normal; None if none."""
        tests = len(self._random) + 1
        table = self._subject.table(self._tensor)
        assert table is not None  # there are statistics
        # P(D sqrt n > c) is at most 2 exp(-2 c^2) (Kolmogorov); each start is one test.
        critical = sqrt(log(2 * tests / self._limits["alpha"]) / 2) / sqrt(self._count)
        if self._found.dtype == "float32" and not self._exact:
            critical += self._rounding / 2
        fits = [
            Verdict("start", start=start.name, fits=True, distance=far, tests=tests,
                    uniform=start.distribution.family == "uniform",
                default=start.default,
                    resolution=self._resolution(start.distribution))
            for start in likely
            if (far := self._distance(table, start.distribution)) <= critical
        ]  # fmt: skip
        if not fits and self._is_normal():
            std = self._found.std or 1.0
            free = Distribution("normal", 0.0, std)
            far = self._distance(table, free)
            if far <= critical:
                name = f"a normal distribution of deviation {std:.3g}"
                fits = [
                    Verdict("open", start=name, fits=True, distance=far, tests=tests,
                            resolution=self._resolution(free))
                ]  # fmt: skip
        return fits[0] if fits and self._is_noise() else None

    def _distance(self, table: Table, of: Distribution) -> float:
        """Give the distance from a distribution; infinity if channels are too unlike for it."""
        return distance(table, of)[0] if self._even(of) else inf

    def _even(self, of: Distribution) -> bool:
        """Whether the channels are as large as chance makes them."""
        squares = self._subject.squares(self._tensor)
        if squares is None or len(squares) < 2:
            return True
        each = self._count / len(squares)
        if each < 16:
            return True
        second = of.std**2 + of.mean**2
        off = squares / (each * second) - 1
        total = float((off**2).sum()) * each / (of.kurtosis + 2)
        return total <= len(squares) + 6 * sqrt(2 * len(squares)) + 6 * len(squares) / each

    def _is_noise(self) -> bool:
        """Whether the top singular value of a matrix is that of noise."""
        shape = self._tensor.shape or ()
        if len(shape) < 2 or not 1024 <= self._count <= _MOST_SPECTRUM:
            return True
        try:
            values = self._tensor.read()
        except WeighError:
            return True
        return top_deviation(values.reshape(shape[0], -1)) <= _TOP

    def _resolution(self, of: Distribution) -> float:
        """Say which change would have shown, as a share of the spread.

        Random changes of a share d of the spread s push values past the ends of a uniform
        distribution, 0.23 n d of them; of one cut at two deviations, 0.04 n d. Five would have
        been seen. A normal one has no ends: its variance grows by d^2, which shows when it is
        four standard errors, 4 sqrt(2 / n).
        """
        n = self._count
        if of.family == "normal":
            return float(2 * (2 / n) ** 0.25)
        return (22 if of.family == "uniform" else 125) / n + 2 * self._rounding


def _uniform(of: Distribution, part: Array, _: bool) -> Marks:  # noqa: FBT001 - as _normal
    from weigh._measures.marks import uniform_marks

    return uniform_marks(part, of.a, of.b)


def _normal(part: Array, tail: bool) -> Marks:  # noqa: FBT001 - called by place
    from weigh._measures.marks import normal_marks

    return normal_marks(part, tail=tail)


def _with_marks(verdict: Verdict, bits: float, *, changed: bool) -> Verdict:
    """Weigh what a distribution says by what the last digits say."""
    if changed and verdict.uniform:
        return MOVED  # every generator of uniform numbers leaves marks, that of a GPU too
    if changed:
        return altered(verdict, state="open", changed=True)
    return altered(verdict, state="open", how="marks", bits=bits) if bits > 0 else verdict


def _held_rounding(found: Statistics) -> float:
    """Say how far values were rounded that a wide type holds, by the bits that are all 0."""
    if found.dtype != "float32" or found.spare_bits < 10:
        return 0.0
    return float(2.0 ** (found.spare_bits - 24))
