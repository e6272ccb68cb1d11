"""What the story says of an update of low rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from weigh._compare.change import TensorChange
from weigh._compare.conclusion import NAMED, Conclusion, percent

MOST = 0.8
"""This share of the matrices (of the values) decides for all."""


def low_rank(matrices: Sequence[TensorChange]) -> Conclusion | None:
    """Tell of a low-rank update, where most matrices changed by one."""
    looked = [c for c in matrices if c.rank is not None]
    found = [c for c in looked if _is_update(c)]
    if not found or len(found) < MOST * len(looked):
        return None
    ranks = Counter(c.rank.rank or 0 for c in found if c.rank is not None)
    rank, often = ranks.most_common(1)[0]
    leaves = Counter(c.tensor.layer.rpartition(".")[2] or c.name for c in found)
    named = ", ".join(
        f"{leaf} ({n:,} times)" if n > 1 else leaf for leaf, n in leaves.most_common(NAMED)
    )
    more = f" and {len(leaves) - NAMED:,} more" if len(leaves) > NAMED else ""
    what = (
        f"rank {rank}"
        if often == len(found)
        else f"ranks from {min(ranks)} to {max(ranks)} (mostly {rank})"
    )
    shares = [c.rank.share(c.rank.rank or 0) for c in found if c.rank is not None]
    least = min(shares, default=0.0)
    hold = f"{'at least ' if len(found) > 1 else ''}{percent(least)}"
    text = (
        f"A low-rank update of {what} on {named}{more}, as merging a LoRA makes: "
        f"these directions hold {hold} of the change's energy."
    )
    return Conclusion(
        "low rank",
        text,
        {
            "rank": rank,
            "ranks": {str(value): n for value, n in sorted(ranks.items())},
            "matrices": len(found),
            "of": len(looked),
            "least_energy_share": least,
        },
    )


def _is_update(change: TensorChange) -> bool:
    """Whether a change of low rank is spread over a matrix, not one of as few rows or columns."""
    rank, found = change.rank, change.difference
    if rank is None or not rank.rank or found is None:
        return False
    return found.changed_share > 1.5 * rank.rank / min(rank.rows, rank.columns)
