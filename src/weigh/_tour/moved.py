"""How far training moved each parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from weigh._tour.parts import Moved

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def moves(
    before: Mapping[str, NDArray[np.float32]], after: Mapping[str, NDArray[np.float32]]
) -> tuple[Moved, ...]:
    """Measure each parameter of ``after`` against the one of that name in ``before``."""
    return tuple(move(name, before[name], after[name]) for name in after)


def move(name: str, before: NDArray[np.float32], after: NDArray[np.float32]) -> Moved:
    """Measure the way from one array to another of its shape, in double precision."""
    import numpy as np

    old, new = before.astype(np.float64).ravel(), after.astype(np.float64).ravel()
    old_norm, new_norm = float(np.linalg.norm(old)), float(np.linalg.norm(new))
    both = old_norm * new_norm
    return Moved(
        name,
        relative_change=float(np.linalg.norm(new - old)) / old_norm if old_norm else None,
        cosine=float(old @ new) / both if both else None,
    )
