"""PNG: decoded by Pillow, chunk by chunk where it says too little."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from drawn import decoded
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from weigh._pictures.png import png_bytes


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Walk the chunks of a PNG, checking every checksum."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, []
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        (crc,) = struct.unpack_from(">I", data, at + 8 + size)
        assert crc == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + size
    return found


SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)


@given(
    SHAPES.flatmap(lambda shape: arrays.arrays(np.uint8, (*shape, 3))),
    st.booleans(),
)
def test_pixels_come_back(pixels: np.ndarray[Any, Any], turned: bool) -> None:
    pixels = pixels[:, ::-1].swapaxes(0, 1) if turned else pixels
    assert np.array_equal(decoded(png_bytes(pixels)), pixels)


@pytest.mark.parametrize(("colours", "kind"), [(1, 3), (256, 3), (257, 2), (5000, 2)])
def test_few_colours_are_given_a_palette(colours: int, kind: int) -> None:
    rng = np.random.default_rng(colours)
    every = np.arange(colours) * 65_521 % (1 << 24)
    packed = np.concatenate([every, rng.choice(every, 10_000 - colours)]).reshape(50, 200)
    pixels = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], -1).astype(np.uint8)
    data = png_bytes(pixels)
    assert np.array_equal(decoded(data), pixels)
    assert chunks(data)[0][1] == struct.pack(">II5B", 200, 50, 8, kind, 0, 0, 0)


def test_codes_with_a_palette_come_back() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 7, (31, 17), np.uint8)
    palette = rng.integers(0, 256, (7, 3), np.uint8)
    data = png_bytes(codes, palette)
    assert np.array_equal(decoded(data), palette[codes])
    assert [kind for kind, _ in chunks(data)] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert np.array_equal(decoded(png_bytes(codes.T, palette)), palette[codes.T])


def test_a_large_flat_picture_is_small() -> None:
    pixels = np.full((2048, 2048, 3), 255, np.uint8)
    pixels[100:200, 300:400] = (33, 102, 172)
    assert len(png_bytes(pixels)) < 10_000


@pytest.mark.parametrize(
    "text",
    ["conv1.weight", "café ± 1", "权重 σ ≤ 1", "two\nlines", "bad \x00\x1b[2J\ud800 letters"],
)
def test_words_travel_with_the_picture(text: str) -> None:
    data = png_bytes(np.zeros((2, 2, 3), np.uint8), texts={"Title": text, "Description": ""})
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        told = image.text  # type: ignore[attr-defined]
    expected = text.replace("\x00\x1b", "").replace("\ud800", "")
    assert told == {"Title": expected}


def test_what_is_no_picture_is_refused() -> None:
    pixels = np.zeros((7, 5, 3), np.uint8)
    for wrong in (pixels[..., 0], pixels[:0], pixels.astype(int), pixels[..., :2]):
        with pytest.raises(ValueError, match="pixels are uint8"):
            png_bytes(wrong)
    with pytest.raises(ValueError, match="codes are uint8"):
        png_bytes(pixels, np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="lacks code 9"):
        png_bytes(np.full((2, 2), 9, np.uint8), np.zeros((9, 3), np.uint8))


def test_edges_become_the_nearest_colours_that_are_kept() -> None:
    """What means something stays to the bit; of the rest so many colours as there is room for."""
    kept = np.stack([np.arange(250), np.full(250, 9), np.zeros(250)], -1).astype(np.uint8)
    edges = np.array([[30, 9, blue] for blue in range(1, 41)], np.uint8)
    rows = [*kept, *edges.repeat(np.arange(1, 41), axis=0)]
    pixels = np.array(rows, np.uint8)[None]
    data = png_bytes(pixels, kept=kept)
    assert chunks(data)[0][1] == struct.pack(">II5B", len(rows), 1, 8, 3, 0, 0, 0)
    drawn = decoded(data)
    assert np.array_equal(drawn[0, :250], kept)
    others = drawn[0, 250:]
    # The six colours of most pixels are themselves; of the others the nearest of all is theirs.
    assert {*others[:, 2].tolist()} == {0, *range(35, 41)}
    assert np.array_equal(np.unique(others[:, :2], axis=0), [[30, 9]])
    assert np.array_equal(decoded(png_bytes(pixels)), pixels)


def test_rows_that_repeat_cost_next_to_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 200, (50, 3000), np.uint8)
    palette = np.random.default_rng(1).integers(0, 256, (200, 3), np.uint8)
    tall = noise.repeat(20, axis=0)
    data = png_bytes(tall, palette)
    assert len(data) < 1.1 * len(png_bytes(noise, palette)) + 5000
    assert np.array_equal(decoded(data), palette[tall])
    assert np.array_equal(decoded(png_bytes(palette[tall])), palette[tall])
