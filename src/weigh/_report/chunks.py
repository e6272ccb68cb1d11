"""The details of a page, put together in chunks that the browser unpacks when they are asked for.

A chunk is deflated and written in base64. Inside, the first four bytes say how long its JSON is
(little endian), then comes the JSON, a list of items, then all cells of pictures end to end.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from typing import Any

_ITEMS = 64
_BYTES = 1 << 18


class Chunks:
    """Takes items one after another, and packs them.

    Attributes:
        starts: the number of the first item of each chunk.
        packed: the chunks as text.
    """

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.packed: list[str] = []
        self._count = 0
        self._items: list[str] = []
        self._cells = bytearray()

    def add(self, item: dict[str, Any], cells: list[bytes]) -> None:
        """Take the next item, and the cells of its pictures; ``item["cells"]`` will say where."""
        if not self._items:
            self.starts.append(self._count)
        if cells:
            item = item | {"cells": len(self._cells)}
        self._items.append(compact(item))
        for one in cells:
            self._cells += one
        self._count += 1
        if len(self._items) >= _ITEMS or len(self._cells) >= _BYTES:
            self.close()

    def close(self) -> None:
        """Pack what was taken since the last chunk."""
        if not self._items:
            return
        head = f"[{','.join(self._items)}]".encode("ascii")
        whole = len(head).to_bytes(4, "little") + head + bytes(self._cells)
        self.packed.append(b64encode(zlib.compress(whole, 9)).decode("ascii"))
        self._items, self._cells = [], bytearray()


def compact(value: object) -> str:
    """Write JSON in ASCII, in as few letters as it takes."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
