"""Names as frameworks write them, in one spelling: PyTorch's, and llama.cpp's for transformers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from weigh._compare.block_names import Layers, in_llama_cpp, is_number, layers_of
from weigh._pattern import pattern
from weigh._sources.keras_names import class_by_name, variable_names

GGUF, META = "GGUF name", "Meta name"

_NUMBER = pattern(r"(?<=[._/])[0-9]+(?=[./])")
_HOLE = "90817263540918273645"
"""Stands for a layer's number: names that differ in it alone are worked out once."""

_LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "embeddings": "weight",
    "depthwise_kernel": "weight",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""What Keras and TensorFlow call a layer's tensors, and PyTorch."""

_FLAX_LEAVES = _LEAVES | {"scale": "weight", "embedding": "weight"}
_FLAX_STATISTICS = {"mean": "running_mean", "var": "running_var"}
_COLLECTIONS = ("params", "batch_stats")
_DIRECTIONS = {"forward": "", "backward": "_reverse"}

_LISTS = ("layers", "_layer_checkpoint_dependencies")
"""Groups of a file of Keras's that are no layers."""

_KERAS_LEAVES = frozenset(
    ("embeddings", "depthwise_kernel", "recurrent_kernel", "moving_mean", "moving_variance")
)


class Spelling:
    """How one network spells its names, worked out from all of them.

    Attributes:
        label: a few words for people; "" for PyTorch's own.
    """

    def __init__(self, names: Iterable[str]) -> None:
        names = list(names)
        # Layers of a stack have the same names: a few hundred are all there are to look at.
        split = [_parts(name) for name in {_NUMBER.sub("0", name) for name in names}]
        leaves = {parts[-1] for parts in split}
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        self._recurrent: set[tuple[str, ...]] = set()
        self._numbered: Counter[tuple[str, ...]] = Counter()
        if "recurrent_kernel" in leaves or any(parts[-2:-1] == ["vars"] for parts in split):
            each = [_parts(name) for name in names]
            self._numbered.update(tuple(p[:-1]) for p in each if p[-2:-1] == ["vars"])
            named = (self._named(parts) for parts in each)
            self._recurrent.update(tuple(p[:-1]) for p in named if p[-1] == "recurrent_kernel")
        self._flax = any(set(parts[:3]) & set(_COLLECTIONS) for parts in split) or (
            "kernel" in leaves
            and not leaves & _KERAS_LEAVES
            and bool(leaves & {"scale", "embedding"})
        )
        self._layers: Layers = layers_of(parts[-2] for parts in split if len(parts) > 1)
        self.label = self._label(split, leaves)

    def _label(self, split: list[list[str]], leaves: set[str]) -> str:
        """Tell whose names they are."""
        if any("blk" in parts for parts in split) or {"token_embd", "output_norm"} & {
            parts[-2] for parts in split if len(parts) > 1
        }:
            return GGUF
        if self._flax:
            return "Flax name"
        if leaves & {"kernel", "embeddings", "recurrent_kernel"} or self._numbered:
            tensorflow = any(
                p.startswith("layer_") and is_number(p[6:]) for ps in split for p in ps
            )
            return "TensorFlow name" if tensorflow else "Keras name"
        if leaves & {"gamma", "beta"}:
            return "old TensorFlow name"
        if any(parts[-3:-1] == ["attention", "wq"] for parts in split):
            return META
        return ""

    def neutral(self, name: str, *, blocks: bool = False) -> str:
        """Give a name in the one spelling that all are compared in.

        Args:
            name: one of the network's.
            blocks: whether layers get the names that llama.cpp has for them. Two families must not
                be written so if both have Hugging Face's names, or they would become one.

        Examples:
            >>> Spelling(["conv1/kernel:0"]).neutral("conv1/kernel:0")
            'conv1.weight'
            >>> Spelling([]).neutral("model.layers.3.mlp.up_proj.weight", blocks=True)
            'model.blk.3.ffn_up.weight'
        """
        number = _NUMBER.search(name)
        if not number or self._recurrent or self._numbered:
            return self._spelled(name, blocks)
        around = name[: number.start()], name[number.end() :]
        if around not in self._known:
            first, _, last = self._spelled(_HOLE.join(around), blocks).partition(_HOLE)
            self._known[around] = first, last
        return number.group().join(self._known[around])

    def _spelled(self, name: str, blocks: bool) -> str:  # noqa: FBT001
        parts = self._named(_parts(name))
        leaves, statistics = _LEAVES, False
        if self._flax:
            leaves = _FLAX_LEAVES
            statistics = "batch_stats" in parts[:3]
            parts = [p for p in parts[:3] if p not in _COLLECTIONS] + parts[3:] or parts
        layer, leaf = parts[:-1], parts[-1]
        if tuple(layer) in self._recurrent:
            layer, leaf = _cell(layer, leaf)
        elif leaf.endswith("_embeddings"):  # TensorFlow's look-up tables are in no layer
            layer, leaf = parts, "weight"
        if statistics:
            leaf = _FLAX_STATISTICS.get(leaf, leaf)
        layer = _plain(layer)
        if blocks:
            layer = in_llama_cpp(layer, self._layers)
        return ".".join((*layer, leaves.get(leaf, leaf)))

    def _named(self, parts: list[str]) -> list[str]:
        """Name a variable that a file of Keras's only numbers, if its layer's class tells."""
        count, number = self._numbered.get(tuple(parts[:-1]), 0), parts[-1]
        if not count or len(parts) < 3 or not is_number(number):
            return parts
        layer = [part for part in parts[:-2] if part not in _LISTS]
        # The cells of all recurrent layers call theirs alike.
        kind = "LSTMCell" if parts[-3] == "cell" else class_by_name(parts[-3])
        names = variable_names(kind, {}, count) or ()
        place = int(number) if len(number) < 3 else count
        return [*layer, names[place]] if place < len(names) else parts


def _parts(name: str) -> list[str]:
    """Cut a name into its parts, whatever stands between them."""
    # Hugging Face's TensorFlow models number their layers "layer_._0".
    return name.removesuffix(":0").replace("_._", ".").replace("/", ".").split(".")


def _plain(layer: list[str]) -> list[str]:
    """Cut the number off TensorFlow's "layer_0"; leave out a layer's name that is there twice."""
    plain: list[str] = []
    for part in layer:
        if part.startswith("layer_") and is_number(part[6:]):
            plain += ["layer", part[6:]]
        elif not plain or part != plain[-1] or is_number(part):
            plain.append(part)
    return plain


def _cell(layer: list[str], leaf: str) -> tuple[list[str], str]:
    """Name what a cell of a recurrent layer holds as PyTorch's layer does; one bias is not two."""
    ending = ""
    if layer and layer[-1].endswith("cell"):
        layer = layer[:-1]
    direction = layer[-1].partition("_")[0] if layer else ""
    if direction in _DIRECTIONS and layer[-1] != direction:
        layer, ending = layer[:-1], _DIRECTIONS[direction]
    names = {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0"}
    return layer, names[leaf] + ending if leaf in names else leaf
