"""The HDF5 files of Keras 1 and 2, which Keras 3 writes as ``.h5``.

Each layer has a group, listed by the attribute ``layer_names``; in it are its weights, listed by
``weight_names``: ``conv1d_1/kernel:0``, or ``block/dense_3/kernel`` for a layer within a layer.
"""

from __future__ import annotations

from weigh._facts import FoundLayer, FoundTensor
from weigh._sources.hdf5_array import Array
from weigh._sources.hdf5_file import Group, Path
from weigh._sources.keras_config import Node
from weigh._sources.keras_names import inner_class
from weigh._sources.keras_tree import Tree


def legacy_layers(
    root: Group, weights: Group, config: Node | None
) -> tuple[tuple[FoundLayer, ...], tuple[FoundTensor, ...]]:
    """Give the layers and the tensors of an older file.

    Args:
        root: the file's groups.
        weights: the group that has one of each layer.
        config: the model's, if the file has it.
    """
    tree = Tree()
    top = tree.layer("", config, None)
    listed = weights.texts.get("layer_names") or list(weights.groups)
    # A list may be cut where it is too long for one attribute: the groups are what counts.
    names = [n for n in dict.fromkeys([*listed, *weights.groups]) if n in weights.groups]
    for name in names:
        if weights is root and name == "optimizer_weights":
            continue
        group = weights.groups[name]
        node = config.find(name) if config else None
        own = name == "top_level_model_weights"
        places: dict[Path, int] = {(): top if own else tree.layer(name, node, top)}
        for path, array in _ordered(group):
            _add(tree, places, _shortened(name, path), array, {(): node})
    for path, array in root.groups.get("optimizer_weights", Group()).every():
        tree.tensor(".".join(("optimizer", *_plain(path))), array, top, "optimizer")
    for name, array in weights.arrays.items():
        tree.tensor(name, array, top)
    if weights is not root:
        known = ("model_weights", "optimizer_weights")
        for name, group in root.groups.items():
            for path, array in group.every() if name not in known else ():
                tree.tensor("/".join((name, *path)), array, top, "other")
    return tuple(tree.layers), tuple(tree.tensors)


def _ordered(group: Group) -> list[tuple[Path, Array]]:
    """Give a group's arrays, in the order of its ``weight_names`` as far as they go."""
    every = dict(group.every())
    listed = [tuple(name.split("/")) for name in group.texts.get("weight_names", [])]
    order = [path for path in dict.fromkeys(listed) if path in every]
    return [(path, every[path]) for path in [*order, *(p for p in every if p not in set(order))]]


def _plain(path: Path) -> Path:
    """Leave out the number that TensorFlow puts behind a variable's name."""
    return (*path[:-1], path[-1].removesuffix(":0"))


def _shortened(name: str, path: Path) -> Path:
    path = _plain(path)
    return path[1:] if len(path) > 1 and path[0] == name else path


def _add(
    tree: Tree,
    places: dict[Path, int],
    path: Path,
    array: Array,
    nodes: dict[Path, Node | None],
) -> None:
    """Add a tensor, and those layers above it that are not there yet."""
    for length in range(1, len(path)):
        over, here = path[: length - 1], path[:length]
        above = nodes.get(over)
        nodes[here] = above.find(path[length - 1]) if above else None
        if here not in places:
            kind = above.kind if above else None
            within = "cell" if path[length - 1].endswith("_cell") else path[length - 1]
            places[here] = tree.layer(
                path[length - 1], nodes[here], places[over], inner_class(kind, within) or ""
            )
    tree.tensor(path[-1], array, places[path[:-1]])
