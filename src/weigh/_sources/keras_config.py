"""The config of a Keras model: its layers, their classes and arguments, as JSON.

Each serialized object is ``{"module", "class_name", "config", "registered_name", ...}`` (keras.io,
"Serialization"); the config of a model or a wrapper holds those of its layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from weigh._sources.flat_json import Cursor

_MOST_NODES = 50_000
_MOST_DEPTH = 48
_MOST_TEXT, _MOST_LIST = 2000, 64
_LISTS = ("layers", "cells")
_SINGLE = ("layer", "backward_layer", "forward_layer", "cell", "model")


@dataclass(slots=True)
class Node:
    """One serialized object.

    Attributes:
        kind: the name of its class.
        module: the module of its class, where it is said.
        name: the name that the user or Keras gave it.
        trainable: whether it says that it is trained; None where it does not say.
        attributes: the plain arguments, and of objects among them their class.
        layers: the layers in it, by the argument or, in a list, by their name.
    """

    kind: str = ""
    module: str | None = None
    registered: str | None = None
    name: str = ""
    trainable: bool | None = None
    attributes: dict[str, object] = field(default_factory=dict)
    layers: dict[str, Node] = field(default_factory=dict)

    def find(self, name: str) -> Node | None:
        """Find a layer in it by its name or its argument."""
        found = self.layers.get(name)
        return found or next((one for one in self.layers.values() if one.name == name), None)

    @property
    def path(self) -> str:
        """The full name of its class, as far as it is said."""
        if self.registered and self.module is None:
            return self.registered.replace(">", ".")
        if self.module is None:
            return f"keras.layers.{self.kind}"
        return f"{self.module}.{self.kind}"


def parse_config(text: str) -> Node:
    """Read a model's config.

    Raises:
        FormatError: it is not JSON, or holds far too much.

    Examples:
        >>> node = parse_config('{"class_name": "Dense", "config": {"units": 3, "name": "d"}}')
        >>> node.path, node.name, dict(node.attributes)
        ('keras.layers.Dense', 'd', {'units': 3})
    """
    parser = _Parser(Cursor(text, lenient=True))
    node = parser.node(0)
    parser.cursor.end()
    return node


class _Parser:
    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self._left = _MOST_NODES

    def node(self, depth: int) -> Node:
        """Take one object; what it lacks stays empty."""
        cursor, node = self.cursor, Node()
        self._left -= 1
        if self._left < 0:
            raise cursor.wrong(f"over {_MOST_NODES:,} objects")
        if depth > _MOST_DEPTH:
            cursor.skip()
            return node
        for key in cursor.members():
            if key == "config" and cursor.peek() == "{":
                self._config(node, depth)
            elif key == "config" and cursor.peek() == "[":  # a Sequential of Keras 1 and 2
                self._list(node, depth)
            elif key in ("class_name", "module", "registered_name", "name"):
                text = self._text()
                if text is None:
                    continue
                if key == "class_name":
                    node.kind = text
                elif key == "module":
                    node.module = text
                elif key == "registered_name":
                    node.registered = text
                else:
                    node.name = node.name or text
            else:
                cursor.skip()
        return node

    def _config(self, node: Node, depth: int) -> None:
        cursor = self.cursor
        for key in cursor.members():
            first = cursor.peek()
            if key in _LISTS and first == "[":
                self._list(node, depth)
            elif first == "{":
                one = self.node(depth + 1)
                if key in _SINGLE and one.kind:
                    node.layers[key] = one
                elif one.kind:
                    node.attributes[key] = _shown(one)
            else:
                known, value = self._plain()
                if key == "name" and isinstance(value, str):
                    node.name = value
                elif key == "trainable":
                    node.trainable = value if isinstance(value, bool) else None
                elif known and key.isidentifier():
                    node.attributes[key] = value

    def _list(self, node: Node, depth: int) -> None:
        """Take the layers of a list."""
        for number, _ in enumerate(self.cursor.items()):
            if self.cursor.peek() != "{":
                self.cursor.skip()
                continue
            one = self.node(depth + 1)
            node.layers.setdefault(one.name or str(number), one)

    def _text(self) -> str | None:
        if self.cursor.peek() == '"':
            return self.cursor.string()[:_MOST_TEXT]
        self.cursor.skip()
        return None

    def _plain(self) -> tuple[bool, object]:
        """Take a plain value, or a short list of them as a tuple."""
        cursor = self.cursor
        begin = cursor.at
        cursor.skip()
        raw = cursor.text[begin : cursor.at]
        if len(raw) > _MOST_TEXT or raw.count(",") > _MOST_LIST or "{" in raw or "[" in raw[1:]:
            return False, None
        value = json.loads(raw)
        return True, tuple(value) if isinstance(value, list) else value


def _shown(one: Node) -> object:
    """Show an object among the arguments by its class; a policy of dtypes by its name."""
    return one.name if one.kind.endswith("DTypePolicy") and one.name else one.kind


def every_node(top: Node) -> Iterator[Node]:
    """Go through a node and all layers below it."""
    ways = [top]
    while ways:
        one = ways.pop()
        yield one
        ways += one.layers.values()
