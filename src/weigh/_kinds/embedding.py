"""Look-up tables: one learned row for each word, position or other item."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._model import Initial


class Embedding(Kind):
    """A table with one row of ``embedding_dim`` numbers for each of ``num_embeddings`` items."""

    name = "Embedding"
    order = ("weight",)
    specs: tuple[Spec, ...] = (
        Spec("num_embeddings", show="bare"),
        Spec("embedding_dim", show="bare"),
        Spec("padding_idx", None, "changed"),
        Spec("max_norm", None, "changed"),
        Spec("norm_type", 2.0, "changed"),
        Spec("scale_grad_by_freq", False, "changed"),  # noqa: FBT003
        Spec("sparse", False, "changed"),  # noqa: FBT003
    )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Rows and columns of the table."""
        rows, columns = shapes["weight"]
        return {"num_embeddings": rows, "embedding_dim": columns}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Items, numbers for each)."""
        if tensor != "weight" or rank != 2:
            return None
        return (
            ("num_embeddings", "one row for each item of the vocabulary", "num_embeddings"),
            ("embedding_dim", "the numbers that stand for an item", "embedding_dim"),
        )

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Standard normal; the padding row starts at 0."""
        return Initial("normal", 0.0, 1.0) if tensor == "weight" else None


class EmbeddingBag(Embedding):
    """A look-up table whose rows are summed or averaged over a bag of items."""

    name = "EmbeddingBag"
    specs = (
        *Embedding.specs[:2],
        Spec("max_norm", None, "changed"),
        Spec("norm_type", 2.0, "changed"),
        Spec("scale_grad_by_freq", False, "changed"),  # noqa: FBT003
        Spec("mode", "mean", quoted=True),
        Spec("padding_idx", None, "changed"),
        Spec("sparse", False, "never"),  # noqa: FBT003
        Spec("include_last_offset", False, "never"),  # noqa: FBT003
    )


KINDS: tuple[Kind, ...] = (Embedding(), EmbeddingBag())
