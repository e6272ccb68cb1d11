"""The tree that names and stated layers make, before anybody says what its layers are."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._facts import Facts, FoundLayer, FoundTensor
from weigh._kinds.neighbours import BRANCH
from weigh._kinds.quantized import companion_split
from weigh._kinds.survey import STAND_INS
from weigh._record import field, record

_MAX_DEPTH = 64
"""Names with more dots than this keep the rest in one piece: the tree is walked recursively."""


@record()
class Node:
    """A place in the tree while it is being built."""

    path: str
    found: FoundLayer | None = None
    own: dict[str, FoundTensor] = field(default_factory=dict)
    children: dict[str, Node] = field(default_factory=dict)


def arranged(facts: Facts) -> Node:
    """Arrange layers and tensors as a tree."""
    root = Node("")
    nodes: dict[str, Node] = {"": root}
    placed: list[Node] = []
    for layer in facts.layers:
        if layer.parent is not None:
            node = Node(layer.path, layer)
            above = placed[layer.parent]
            above.children[_own_name(layer.path, above.path)] = node
        else:
            node = _place(root, nodes, layer.path) if layer.path else root
            node.found = layer
        placed.append(node)
    stated = any(layer.path for layer in facts.layers)
    for tensor in facts.tensors:
        if tensor.layer is not None:
            node = placed[tensor.layer]
            node.own[_own_name(tensor.name, node.path)] = tensor
            continue
        if not in_tree(tensor):
            continue
        path, local = _split(tensor.name, nodes, stated=stated)
        _place(root, nodes, path).own[local] = tensor
    if not facts.ordered:
        for node in nodes.values():
            _put_in_order(node)
    return root


def in_tree(tensor: FoundTensor) -> bool:
    return tensor.role not in ("optimizer", "other") or tensor.packed


def _own_name(name: str, above: str) -> str:
    """Take what a full name adds to that of the layer above, if it is one below it."""
    return name.removeprefix(f"{above}.") if above else name


def _split(name: str, nodes: Mapping[str, Node], *, stated: bool) -> tuple[str, str]:
    """Split a tensor's name into its layer's path and its own name."""
    if not stated and (companion := companion_split(name)) is not None:
        return companion
    path, _, local = name.rpartition(".")
    if name.startswith("."):  # the path of a layer without a name would be the network's
        return "", name
    if stated:
        # The deepest layer that the source names; a ParameterDict's keys may hold dots.
        at = path
        while at and at not in nodes:
            at = at.rpartition(".")[0]
        return (at, name[len(at) + 1 :]) if at else ("", name)
    return path, local


def _place(root: Node, nodes: dict[str, Node], path: str) -> Node:
    """Find or make the node of a path."""
    if path in nodes:
        return nodes[path]
    node, at = root, ""
    for part in path.split(".", _MAX_DEPTH):
        at = part if node is root else f"{at}.{part}"
        if part not in node.children:
            made = Node(at)
            # A child without a name shares its path with the root, and is not the root.
            node.children[part] = nodes.setdefault(at, made) if at else made
        node = node.children[part]
    nodes[path] = node
    return node


def _put_in_order(node: Node) -> None:
    """Undo the order of a format that sorts by name, or by type and then by name.

    Numbered layers go by their numbers, and a branch around layers comes after them.
    """
    if len(node.children) > 1 and all(name.isdecimal() for name in node.children):
        node.children = dict(sorted(node.children.items(), key=lambda item: int(item[0])))
    elif any(BRANCH.search(name) for name in node.children):
        last = sorted(node.children.items(), key=lambda item: BRANCH.search(item[0]) is not None)
        node.children = dict(last)


def holds_tensors(node: Node) -> bool:
    """Whether there is a tensor in or below a node; only some sources list layers without."""
    below = [node]
    while below:
        one = below.pop()
        if one.own:
            return True
        below.extend(one.children.values())
    return False


def with_originals(node: Node) -> dict[str, FoundTensor]:
    """Give a layer's own tensors and those that its parametrizations keep for it."""
    own = dict(node.own)
    below = node.children.get("parametrizations")
    for name, child in below.children.items() if below else ():
        for local, tensor in child.own.items():
            own[f"parametrizations.{name}.{local}"] = tensor
    return {name: t for name, t in own.items() if name in STAND_INS or "parametr" not in name}
