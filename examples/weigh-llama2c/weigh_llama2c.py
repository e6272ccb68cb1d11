"""Reads the .bin files that llama2.c runs: version 1, all float32.

A header of 256 bytes states the sizes of a LLaMA; the weights follow in a fixed order, the same
weight of all layers together. See ``version1_export`` in https://github.com/karpathy/llama2.c,
``export.py``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from weigh.plugins import (
    DTYPES,
    ByteSource,
    Facts,
    Format,
    FormatError,
    FoundLayer,
    FoundTensor,
    StoredValues,
    UnsupportedError,
    account,
)

FORMAT = Format(
    name="llama2c",
    title="llama2.c: a header of sizes, then a LLaMA's weights",
    reader="weigh_llama2c:read",
    starts=((0, b"24ka"),),  # "ak42" as a little-endian number
    endings=(".bin",),
)

_HEADER = struct.Struct("<4si7iB")
_HEADER_BYTES = 256
_SIZES = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len")
_MOST = 1 << 31


def read(source: ByteSource) -> Facts:
    """State what a llama2.c file holds; only its header is read.

    Raises:
        FormatError: the sizes do not fit the file.
        UnsupportedError: it is of another version.
    """
    if source.size < _HEADER_BYTES:
        raise FormatError("the file ends within its header", seen=f"{source.size} bytes")
    _, version, *numbers, shared = _HEADER.unpack(source.view(0, _HEADER.size))
    if version != 1:
        raise UnsupportedError("only version 1 of llama2.c's files is read", seen=str(version))
    sizes = dict(zip(_SIZES, numbers, strict=True))
    if not all(0 < size < _MOST for size in numbers) or numbers[0] % numbers[3]:
        raise FormatError("the header states impossible sizes", seen=str(numbers))
    tensors = tuple(_tensors(source, sizes, shared=bool(shared)))
    return Facts(
        format=FORMAT.name,
        location=source.name,
        tensors=tensors,
        layers=(FoundLayer("", kind="Transformer", attributes=sizes),),
        accounts=account(source, tensors, metadata=_HEADER_BYTES),
    )


def _tensors(source: ByteSource, sizes: dict[str, int], *, shared: bool) -> Iterator[FoundTensor]:
    at, dtype = _HEADER_BYTES, DTYPES["float32"]
    for name, shape in _weights(sizes):
        # Raises where the file is too short, so that no size is believed before it is checked.
        values = StoredValues(source, at, dtype, shape)
        at += dtype.size_of(values.extent.distinct)
        yield FoundTensor(name, values, role="parameter", identity=name)
        if name == "tok_embeddings.weight" and shared:
            yield FoundTensor("output.weight", values, role="parameter", identity=name)
    if not shared:
        values = StoredValues(source, at, dtype, (sizes["vocab_size"], sizes["dim"]))
        at += dtype.size_of(values.extent.distinct)
        yield FoundTensor("output.weight", values, role="parameter", identity="output.weight")
    if at != source.size:
        raise FormatError("bytes follow the last weight", seen=f"{source.size - at:,}")


def _weights(sizes: dict[str, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name the weights in the file's order, but for the output's."""
    dim, hidden = sizes["dim"], sizes["hidden_dim"]
    narrow = dim // sizes["n_heads"] * sizes["n_kv_heads"]

    def each(name: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        return ((f"layers.{i}.{name}.weight", shape) for i in range(sizes["n_layers"]))

    yield from each("attention_norm", dim)
    yield from each("ffn_norm", dim)
    yield "norm.weight", (dim,)
    yield "tok_embeddings.weight", (sizes["vocab_size"], dim)
    yield from each("attention.wq", dim, dim)
    yield from each("attention.wk", narrow, dim)
    yield from each("attention.wv", narrow, dim)
    yield from each("attention.wo", dim, dim)
    yield from each("feed_forward.w1", hidden, dim)
    yield from each("feed_forward.w2", dim, hidden)
    yield from each("feed_forward.w3", hidden, dim)
