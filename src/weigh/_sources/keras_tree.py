"""The layers and tensors of a Keras model while they are collected."""

from __future__ import annotations

from dataclasses import dataclass, field

from weigh._errors import FormatError
from weigh._facts import FoundClass, FoundLayer, FoundTensor, Role
from weigh._sources.hdf5_array import Array
from weigh._sources.keras_config import Node
from weigh._sources.keras_names import role_of

_MOST_NAMES = 1 << 26


@dataclass(slots=True)
class Tree:
    """What was collected so far.

    Attributes:
        layers: parents before children.
        tensors: in the order in which they were met.
    """

    layers: list[FoundLayer] = field(default_factory=list)
    tensors: list[FoundTensor] = field(default_factory=list)
    _frozen: list[bool] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)
    _classes: dict[str, FoundClass] = field(default_factory=dict)
    _left: int = _MOST_NAMES

    def layer(self, name: str, node: Node | None, above: int | None, kind: str = "") -> int:
        """Add a layer below another; give its place.

        Args:
            name: its own name.
            node: its config, if there is one.
            above: the place of the layer above it; None for the network.
            kind: its class where the class of the layer above says so.
        """
        over = self.layers[above].path if above is not None else ""
        path = f"{over}.{name}" if over else name
        self._count(path)
        frozen = above is not None and self._frozen[above]
        self._frozen.append(frozen or (node is not None and node.trainable is False))
        made, attributes = None, {}
        if node is not None and node.kind:
            made, kind, attributes = self._class(node.path), node.kind, node.attributes
        elif kind:
            made = self._class(f"keras.layers.{kind}")
        found = FoundLayer(path, kind or None, made, attributes, parent=above)
        self.layers.append(found)
        return len(self.layers) - 1

    def _class(self, path: str) -> FoundClass:
        return self._classes.setdefault(path, FoundClass(path, loose=True))

    def tensor(self, name: str, array: Array, layer: int, role: Role | None = None) -> None:
        """Add a tensor to a layer, or beside the network where its role says so."""
        outside = role in ("optimizer", "other")
        over = "" if outside else self.layers[layer].path
        full = f"{over}.{name}" if over else name
        self._count(full)
        if full in self._taken:
            raise FormatError("two arrays of the file have one name", seen=full[:200])
        self._taken.add(full)
        role = role or role_of(name)
        learnable = False if not outside and role != "buffer" and self._frozen[layer] else None
        place = None if outside else layer
        self.tensors.append(
            FoundTensor(full, array.values, role, learnable, array.address, layer=place)
        )

    def _count(self, name: str) -> None:
        self._left -= len(name)
        if self._left < 0:
            raise FormatError("the names in the file are too long together")
