"""The weights of Keras 3: groups named after classes and attributes, variables by number.

A layer's group has its variables in ``vars``, whose attribute ``name`` is the layer's own; lists of
layers are groups without ``vars``, in which a layer is called by its class and a number.
"""

from __future__ import annotations

from collections import Counter

from weigh._facts import FoundLayer, FoundTensor, Role
from weigh._sources.hdf5_file import Group
from weigh._sources.keras_config import Node
from weigh._sources.keras_names import class_by_name, inner_class, snake, variable_names
from weigh._sources.keras_tree import Tree

_HOLDERS = ("layers", "_layer_checkpoint_dependencies")
_BESIDE: dict[str, Role] = {"optimizer": "optimizer", "metrics": "other"}
_ALIAS = {"forward_layer": "layer"}


def weights_layers(
    root: Group, config: Node | None
) -> tuple[tuple[FoundLayer, ...], tuple[FoundTensor, ...]]:
    """Give the layers and the tensors of a file of weights.

    Args:
        root: the file's groups.
        config: what is said of the model beside, if anything is.
    """
    tree = Tree()
    top = tree.layer("", config, None)
    _fill(tree, root, config, None, top)
    for name, role in _BESIDE.items():
        if name in root.groups:
            for path, array in root.groups[name].every():
                tree.tensor(".".join((name, *path)), array, top, role)
    return tuple(tree.layers), tuple(tree.tensors)


def _fill(tree: Tree, group: Group, node: Node | None, kind: str | None, place: int) -> None:
    """Add a layer's own variables and what is below it; no deeper than the file was listed."""
    own = group.groups.get("vars", Group())
    attributes = node.attributes if node else {}
    names = variable_names(kind, attributes, len(own.arrays))
    names = names or tuple(own.arrays)
    for name, array in zip(names, own.arrays.values(), strict=True):
        tree.tensor(name, array, place)
    for name, array in group.arrays.items():
        tree.tensor(name, array, place)
    top = place == 0
    forward_first = sorted(group.groups.items(), key=lambda one: one[0] == "backward_layer")
    for name, below in forward_first:
        if name == "vars" or (top and name in _BESIDE):
            continue
        if name in _HOLDERS and "vars" not in below.groups:
            _list(tree, below, node, place)
        elif "vars" in below.groups or below.arrays:
            inner = node.find(name) or node.find(_ALIAS.get(name, name)) if node else None
            within = inner_class(kind, name)
            if any(True for _ in below.every()):
                # Without a config, classes are guesses that only serve to name variables.
                at = tree.layer(name, inner, place, (within or "") if node else "")
                hint = within or class_by_name(_said(below))
                _fill(tree, below, inner, inner.kind if inner else hint, at)
        elif any(True for _ in below.every()):
            _list(tree, below, node, tree.layer(name, None, place))


def _list(tree: Tree, holder: Group, node: Node | None, place: int) -> None:
    """Add the layers of a list, in the config's order where there is one."""
    rows = _rows(holder, node)
    counts = Counter(name for name, _, _, _ in rows)
    for name, key, inner, group in rows:
        shown = name if counts[name] == 1 else key
        if inner is None and not any(True for _ in group.every()):
            continue
        at = tree.layer(shown, inner, place)
        _fill(tree, group, inner, inner.kind if inner else class_by_name(key), at)


def _rows(holder: Group, node: Node | None) -> list[tuple[str, str, Node | None, Group]]:
    """Give each layer's own name, its key in the file, its config and its group."""
    by_key = _keys(node) if node is not None else {}
    rows: list[tuple[str, str, Node | None, Group]] = []
    for key, group in holder.groups.items():
        name = _said(group)
        inner = (node.layers.get(name) if name else by_key.get(key)) if node else None
        rows.append((name or (inner.name if inner else "") or key, key, inner, group))
    if node is None:
        # Without a config the numbers at the ends of keys are all there is.
        return rows
    order = {one: number for number, one in enumerate(node.layers)}
    return sorted(rows, key=lambda row: order.get(row[0], len(order)))


def _said(group: Group) -> str:
    """Give the name that a layer's group says it has; the empty text where it says none."""
    own = group.groups.get("vars", Group()).texts.get("name")
    return own[0] if own else ""


def _keys(node: Node) -> dict[str, Node]:
    """Work out the keys that Keras gives the layers of a list: the class, and a number."""
    counts: Counter[str] = Counter()
    keys = {}
    for one in node.layers.values():
        base = snake(one.kind)
        keys[f"{base}_{counts[base]}" if counts[base] else base] = one
        counts[base] += 1
    return keys
