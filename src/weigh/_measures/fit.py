"""How well the values of a table fit a distribution."""

from __future__ import annotations

from math import erf, exp, inf, pi, sqrt
from typing import TYPE_CHECKING, Any, Literal

from weigh._record import record

if TYPE_CHECKING:
    import numpy as np

    from weigh._measures.table import Table

_MANTISSA = {"bfloat16": (7, -126), "float16": (10, -14)}
"""Bits of mantissa and the exponent of the smallest normal number."""


@record(frozen=True)
class Distribution:
    """A distribution that values may be drawn from.

    Attributes:
        family: ``"uniform"`` on [a, b]; ``"normal"`` with mean a and deviation b;
            ``"truncated"``: normal with mean a and deviation b, what is further off than 2 b
            drawn again.
        a: the first number.
        b: the second.
    """

    family: Literal["uniform", "normal", "truncated"]
    a: float
    b: float

    @property
    def mean(self) -> float:
        """Its mean."""
        return (self.a + self.b) / 2 if self.family == "uniform" else self.a

    @property
    def std(self) -> float:
        """Its standard deviation."""
        if self.family == "uniform":
            return (self.b - self.a) / sqrt(12)
        return self.b * (_CUT_STD if self.family == "truncated" else 1.0)

    @property
    def kurtosis(self) -> float:
        """Its fourth standardised moment, less 3."""
        return {"uniform": -1.2, "normal": 0.0, "truncated": _CUT_KURTOSIS}[self.family]

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest number that it gives."""
        if self.family == "uniform":
            return self.a, self.b
        far = 2 * self.b if self.family == "truncated" else inf
        return self.a - far, self.a + far

    def below(self, x: float) -> float:
        """Give the share of it that is below a number.

        Examples:
            >>> Distribution("uniform", -1, 1).below(0.5), Distribution("normal", 0, 1).below(0)
            (0.75, 0.5)
        """
        if self.family == "uniform":
            return min(1.0, max(0.0, (x - self.a) / (self.b - self.a)))
        share = 0.5 * (1 + erf((x - self.a) / (self.b * sqrt(2))))
        if self.family == "normal":
            return share
        return min(1.0, max(0.0, (share - _CUT_OFF) / (1 - 2 * _CUT_OFF)))


def _cut_moments() -> tuple[float, float, float]:
    """Give the share below -2, and the deviation and kurtosis between -2 and 2, of N(0, 1).

    By partial integration, with density f and inside share Z: E x^2 = 1 - 2 (2 f(2)) / Z, and
    E x^4 = 3 E x^2 - 2 (2^3 f(2)) / Z.
    """
    off = 0.5 * (1 - erf(sqrt(2)))
    density, inside = exp(-2) / sqrt(2 * pi), 1 - 2 * off
    second = 1 - 4 * density / inside
    fourth = 3 * second - 16 * density / inside
    return off, sqrt(second), fourth / second**2 - 3


_CUT_OFF, _CUT_STD, _CUT_KURTOSIS = _cut_moments()


def distance(table: Table, of: Distribution) -> tuple[float, int]:
    """Give the Kolmogorov-Smirnov distance of a table's finite values from a distribution.

    The largest difference of the two cumulative shares (Kolmogorov 1933), and how many values
    there are. Values of 16 bits stand for all numbers that are rounded to them, so shares are
    compared half-way between two neighbours, where rounding makes no difference. Of wider types
    they are compared where a pattern of the top 16 bits ends, so that it is exact there, and no
    more than the distance of the values themselves.

    Examples:
        >>> from array import array
        >>> from weigh._measures.table import Table
        >>> distance(Table.of("float32", array("f", [0.25, 0.75])), Distribution("uniform", 0, 1))
        (0.25..., 2)
    """
    import numpy as np

    cells = np.array(table.cells(), np.float64).reshape(-1, 3)
    low, high = cells[:, 0], cells[:, 1]
    n = int(cells[:, 2].sum())
    if not n:
        return 0.0, 0
    upto = np.cumsum(cells[:, 2]) / n
    before = upto - cells[:, 2] / n
    # Both zeros are one number.
    zeros = np.flatnonzero((low == 0) & (high == 0))
    upto[zeros], before[zeros] = upto[zeros[-1:]], before[zeros[:1]]
    if table.dtype in _MANTISSA:
        bits, least = _MANTISSA[table.dtype]
        low = low - _half_step(low, bits, least, down=True)
        high = high + _half_step(high, bits, least, down=False)
    above = np.array([of.below(x) for x in high])
    below = np.array([of.below(x) for x in low])
    return float(max(np.abs(upto - above).max(), np.abs(before - below).max())), n


def _half_step(
    values: np.ndarray[Any, Any], bits: int, least: int, *, down: bool
) -> np.ndarray[Any, Any]:
    """Give half the way from values of a narrow type to their neighbours."""
    import numpy as np

    mantissa, exponent = np.frexp(np.abs(values))
    exponent = np.where(values == 0, least, exponent)
    step = np.ldexp(1.0, np.maximum(exponent - 1, least) - bits)
    # Towards 0, the neighbour of a power of two is half as far.
    inwards = (values > 0) if down else (values < 0)
    halved = inwards & (mantissa == 0.5) & (exponent - 1 > least)
    made: np.ndarray[Any, Any] = np.where(halved, step / 2, step) / 2
    return made


def top_deviation(matrix: np.ndarray[Any, Any]) -> float:
    """Say how far the top singular value of a matrix is above that of noise, in its deviations.

    Of a matrix of n by p independent values of one variance, the largest eigenvalue of the
    Gram matrix follows Tracy and Widom's law about (sqrt(n - 1) + sqrt(p))^2 variances
    (Johnstone 2001, Annals of Statistics 29, theorem 1.1): this is its standard variable. Learned
    structure gives large ones; noise is above 3 about once in 3,000 times.

    Args:
        matrix: the values, two axes.
    """
    import numpy as np

    matrix = matrix.astype(np.float32)
    n, p = max(matrix.shape), min(matrix.shape)
    variance = float(np.mean(np.square(matrix, dtype=np.float64)))
    if p < 2 or not variance:
        return 0.0
    edge = (sqrt(n - 1) + sqrt(p)) ** 2
    width = (sqrt(n - 1) + sqrt(p)) * (1 / sqrt(n - 1) + 1 / sqrt(p)) ** (1 / 3)
    return float((_largest(matrix) / variance - edge) / width)


def _largest(matrix: np.ndarray[Any, Any]) -> float:
    """Give the largest eigenvalue of the Gram matrix, by Lanczos's method (1950).

    Steps are made orthogonal to all before; the start is the same for every matrix of a shape.
    """
    import numpy as np

    size = min(matrix.shape)
    tall = matrix if matrix.shape[1] == size else matrix.T
    if size <= 64:
        return float(np.linalg.eigvalsh(tall.astype(np.float64).T @ tall.astype(np.float64))[-1])
    steps = min(size, 60)
    basis = np.zeros((steps + 1, size))
    start = np.random.default_rng(0).standard_normal(size)
    basis[0] = start / np.linalg.norm(start)
    diagonal, beside = np.zeros(steps), np.zeros(steps)
    for at in range(steps):
        image = (tall.T @ (tall @ basis[at].astype(np.float32))).astype(np.float64)
        diagonal[at] = basis[at] @ image
        image -= basis[: at + 1].T @ (basis[: at + 1] @ image)
        image -= basis[: at + 1].T @ (basis[: at + 1] @ image)
        beside[at] = np.linalg.norm(image)
        if beside[at] <= 1e-9 * abs(diagonal[0]):
            steps = at + 1
            break
        basis[at + 1] = image / beside[at]
    small = np.diag(diagonal[:steps]) + np.diag(beside[: steps - 1], 1)
    small += np.diag(beside[: steps - 1], -1)
    return float(np.linalg.eigvalsh(small)[-1])
