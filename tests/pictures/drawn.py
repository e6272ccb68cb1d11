"""What tests of pictures share: tables of arrays, pictures read back, and golden files."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image

from weigh._measures.table import Table
from weigh._pictures.shapes import Drawing

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "pictures"
SVG = "{http://www.w3.org/2000/svg}"
Array = np.ndarray[Any, Any]


def table_of(values: Array, dtype: str = "") -> Table:
    return Table.of(dtype or str(values.dtype), np.ascontiguousarray(values).view(np.uint8).data)


def decoded(data: bytes) -> Array:
    """Decode a PNG with a library of its own."""
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def parsed(svg: str) -> ET.Element:
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return root


def words(svg: str) -> list[str]:
    """Give all that is written in a picture."""
    return [node.text or node[-1].tail or "" for node in parsed(svg).iter(f"{SVG}text")]


def numbers(drawing: Drawing) -> Iterator[float]:
    """Give every coordinate and length of a drawing."""
    yield from (drawing.width, drawing.height)
    for shape in drawing.shapes:
        for name in type(shape).__match_args__:  # type: ignore[attr-defined]
            value = getattr(shape, name)
            if isinstance(value, float):
                yield value
            if name == "points":
                yield from (coordinate for point in value for coordinate in point)


def all_finite(drawing: Drawing) -> bool:
    return all(math.isfinite(number) for number in numbers(drawing))


def same_as_golden(name: str, made: str | bytes) -> bool:
    """Hold a picture against its file; pixels are compared, since zlib differs between machines.

    With ``UPDATE_GOLDEN`` in the environment the file is written first.
    """
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.encode() if isinstance(made, str) else made)
    if isinstance(made, str):
        return _unpacked(path.read_text("utf-8")) == _unpacked(made)
    return np.array_equal(decoded(path.read_bytes()), decoded(made))


def _unpacked(svg: str) -> str:
    """Put in place of each PNG in a picture what its pixels are."""

    def pixels(found: re.Match[str]) -> str:
        array = decoded(base64.b64decode(found[1]))
        return f"{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"

    return re.sub(r"data:image/png;base64,([A-Za-z0-9+/=]+)", pixels, svg)
