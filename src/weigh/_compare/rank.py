"""Whether a change is of low rank: its largest singular values, and those above its noise.

The change D = B - A of a weight to which a low-rank update was added (a merged LoRA) has full rank
by its numbers: B and A were rounded, and that is noise. A direction counts if it stands above what
the noise left without it can come to (`weigh._compare.noise`). The directions are said to be all
that changed, and their number to be the rank, if

- they are at most a quarter of the rows or columns, the last is 1.3 times as strong as what
  follows, and they have a fifth of the energy ||D||_F^2;
- what they leave is about what rounding brings, as the last bits of D tell. So the tail of a
  trained change is not taken for noise. Both weights must come from one type for that: round a
  float32 file to bfloat16 before it is held against a bfloat16 one.

Where a change is smaller than a step of its type most of it is rounded away, and what is left
follows it: its third and higher powers have directions of their own, far weaker. Weak directions
behind a gap, with less energy than the noise, are therefore left out. So is what drowns in
rounding: fewer than were added is an honest answer, None a likely one.

How often it errs, measured on updates of rank 1, 4, 16 and 64 in 256 to 768 rows and columns, whose
weights were normal, heavy-tailed, of uneven rows and columns, with outlier columns, or of a
decaying spectrum (`tests/compare/test_rank.py` has fewer of the same):

| change | cases | right | None | fewer | more |
|---|---|---|---|---|---|
| update merged in float32 or float16 | 240 | 240 | 0 | 0 | 0 |
| in bfloat16, 2 % of the weights and more | 120 | 119 | 1 | 0 | 0 |
| in bfloat16, 0.5 %: about 60 % of values change | 60 | 55 | 5 | 0 | 0 |
| in bfloat16, 0.1 %: about 20 % of values change | 60 | 37 | 23 | 0 | 0 |
| two sets of random weights, 4 x 4 to 256 x 100 | 1950 | 1950 as None | | | |
| pruned, quantised, rounded, scaled | 135 | 135 as None | | | |
| trained by Adam, or many steps of plain descent, float32 | 48 | 48 as None | | | |
| the same in bfloat16 | 48 | 41 as None | | | 7 |
| one to three steps of plain descent on few examples, float32 | 12 | 11 | 0 | 1 | 0 |
| the same in bfloat16 | 12 | 4 | 4 | 4 | 0 |

The 7 are networks of 10 classes, whose changes have 9 directions, and the rest of them is no more
than what rounding brings.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from weigh._compare.noise import claimed, edges, standing
from weigh._compare.sketch import MORE, Matrix, leading, wider
from weigh._record import record

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, np.dtype[Any]]

_SURE = 0.05
"""A singular value is told where it is known to within this, relative to it."""


@record(frozen=True)
class ChangeRank:
    """What the singular values of a change D are.

    Attributes:
        rows: of D.
        columns: of D.
        top: its largest singular values, descending, as far as they are known to within 5 %, and
            at least the first; none where D is 0 or empty.
        norm: the Frobenius norm of D.
        rank: how many directions stand above noise, where these are all that changed; 0 where D
            is 0; None where they do not separate, as those of a change of full rank.
        noise_edge: the most that singular values of noise may come to, in the units of `top`.
        exact: whether all of D's singular values were worked out, and not those of a sketch.
        error: each of `top` is within this of the true one, relative to that.
    """

    rows: int
    columns: int
    top: tuple[float, ...]
    norm: float
    rank: int | None
    noise_edge: float
    exact: bool
    error: float

    @classmethod
    def unseparated(cls, rows: int, columns: int, norm: float) -> ChangeRank:
        """Make that of a change of which some rows told already that nothing stands out."""
        return cls(rows, columns, (), norm, None, inf, exact=False, error=0.0)

    def share(self, count: int) -> float:
        """Give the share of D's squares that its so many largest directions have.

        Beyond those in `top` nothing is known, so that it is the least then.
        """
        if not 0 < self.norm < inf:
            return 0.0
        return min(1.0, sum((value / self.norm) ** 2 for value in self.top[:count]))

    @property
    def energy(self) -> tuple[float, ...]:
        """The share that the largest 1, 2, 4, 8 ... directions have, as far as these are known."""
        return tuple(self.share(1 << k) for k in range(len(self.top).bit_length()))


def change_rank(
    rows: int,
    columns: int,
    read: Callable[[int, int], Array],
    total: float | None = None,
    *,
    most: int = 64,
    seed: int = 0,
) -> ChangeRank:
    """Work out the rank of a change.

    Args:
        rows: of the change.
        columns: of it.
        read: gives its rows from one to before another, as float32 or float64. A change of 64 MB or
            less is read once and held; a larger one 2 times where it has up to 512 columns, else 3
            times, and 2 times more where it turns out to have more directions than are sought.
        total: the sum of its squares, where that is known better.
        most: directions that are sought; four times as many where that does not do.
        seed: of the random numbers; the same gives the same.

    Raises:
        ValueError: where a number is not finite.

    Examples:
        >>> import numpy as np
        >>> generator = np.random.default_rng(0)
        >>> a = generator.standard_normal((200, 100)).astype("f4")
        >>> b = a + 0.1 * np.outer(generator.standard_normal(200), np.ones(100)).astype("f4")
        >>> found = change_rank(200, 100, lambda start, stop: (b - a)[start:stop])
        >>> found.rank, round(found.share(1), 3)
        (1, 1.0)
    """
    nothing = ChangeRank(rows, columns, (), 0.0, 0, 0.0, exact=True, error=0.0)
    if not rows or not columns:
        return nothing
    matrix = Matrix(rows, columns, read)
    generator = np.random.Generator(np.random.PCG64(seed))
    found = leading(matrix, most, generator)
    if not found.total:
        return nothing
    noise = edges(found)
    count = standing(found.values, noise)
    width = found.right.shape[1]
    if not found.exact and count > width - MORE and width < matrix.width(4 * most):
        found = wider(matrix, found, 4 * most, generator)
        noise = edges(found)
        count = standing(found.values, noise)
    rank = claimed(found, count)
    told = max(1, int((found.errors <= _SURE).cumprod().sum()))
    told = min(told, max(most, rank or 0))
    norm = np.sqrt(found.total) if total is None else np.ldexp(np.sqrt(total), -matrix.exponent)
    return ChangeRank(
        rows,
        columns,
        tuple(np.ldexp(found.values[:told], matrix.exponent).tolist()),
        float(np.ldexp(norm, matrix.exponent)),
        rank,
        float(np.ldexp(noise[count if rank is None else rank], matrix.exponent)),
        exact=found.exact,
        error=float(found.errors[told - 1]),
    )
