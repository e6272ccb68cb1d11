"""The types of number a tensor can hold, by the field's names."""

from __future__ import annotations

from typing import Literal

from weigh._record import record

Family = Literal["bool", "int", "uint", "float", "complex", "quantized", "blocks"]


@record(frozen=True)
class DType:
    """One type of number.

    Attributes:
        name: PyTorch's name without ``torch.``; where PyTorch has none, one in its manner.
        bits: the size of one value in bits; 4 and 6 are packed without gaps. Of values that are
            quantized in blocks, the whole bits that each takes.
        family: what sort of number it is.
        block: how many values are stored together, with scales of their own; 1 for most types.
        block_bytes: the bytes of such a block.
    """

    name: str
    bits: int
    family: Family
    block: int = 1
    block_bytes: int = 0

    def __str__(self) -> str:
        return self.name

    @property
    def learnable(self) -> bool:
        """Whether PyTorch can compute a gradient for it."""
        return self.family in ("float", "complex")

    def size_of(self, count: int) -> int:
        """Give the bytes that ``count`` values take, rounded up to whole bytes."""
        if self.block > 1:
            return -(-count // self.block) * self.block_bytes
        return (count * self.bits + 7) // 8


_BITS: dict[Family, dict[str, int]] = {
    "bool": {"bool": 8},
    "int": {"int4": 4, "int8": 8, "int16": 16, "int32": 32, "int64": 64},
    "uint": {"uint4": 4, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64},
    "float": {
        "float4_e2m1fn": 4,
        "float6_e2m3fn": 6,
        "float6_e3m2fn": 6,
        "float8_e4m3fn": 8,
        "float8_e5m2": 8,
        "float8_e4m3fnuz": 8,
        "float8_e5m2fnuz": 8,
        "float8_e8m0fnu": 8,
        "float16": 16,
        "bfloat16": 16,
        "float32": 32,
        "float64": 64,
    },
    "complex": {"complex32": 32, "complex64": 64, "complex128": 128},
    "quantized": {"quint4x2": 4, "qint8": 8, "quint8": 8, "qint32": 32},
}

_BLOCK_SIZES = {
    "q1_0": (128, 18), "q4_0": (32, 18), "q4_1": (32, 20), "q5_0": (32, 22), "q5_1": (32, 24),
    "q8_0": (32, 34), "q8_1": (32, 40), "q2_k": (256, 84), "q3_k": (256, 110), "q4_k": (256, 144),
    "q5_k": (256, 176), "q6_k": (256, 210), "q8_k": (256, 292), "iq1_s": (256, 50),
    "iq1_m": (256, 56), "iq2_xxs": (256, 66), "iq2_xs": (256, 74), "iq2_s": (256, 82),
    "iq3_xxs": (256, 98), "iq3_s": (256, 110), "iq4_nl": (32, 18), "iq4_xs": (256, 136),
    "tq1_0": (256, 54), "tq2_0": (256, 66), "mxfp4": (32, 17), "nvfp4": (64, 36),
}  # fmt: skip
"""llama.cpp's types: how many values are in a block, and how many bytes."""

DTYPES: dict[str, DType] = {
    name: DType(name, bits, family) for family, rows in _BITS.items() for name, bits in rows.items()
}
"""Every dtype of single numbers, by name."""

BLOCKS: dict[str, DType] = {
    name: DType(name, size * 8 // count, "blocks", count, size)
    for name, (count, size) in _BLOCK_SIZES.items()
}
"""Every dtype of values that are quantized in blocks, by name."""
