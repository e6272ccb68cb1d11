"""The types of number a tensor can hold, by the field's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["bool", "int", "uint", "float", "complex", "quantized"]


@dataclass(frozen=True, slots=True)
class DType:
    """One type of number.

    Attributes:
        name: PyTorch's name without ``torch.``; where PyTorch has none, one in its manner.
        bits: the size of one value in bits; 4 and 6 are packed without gaps.
        family: what sort of number it is.
    """

    name: str
    bits: int
    family: Family

    def __str__(self) -> str:
        return self.name

    @property
    def learnable(self) -> bool:
        """Whether PyTorch can compute a gradient for it."""
        return self.family in ("float", "complex")

    def size_of(self, count: int) -> int:
        """Give the bytes that ``count`` values take, rounded up to whole bytes."""
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

DTYPES: dict[str, DType] = {
    name: DType(name, bits, family) for family, rows in _BITS.items() for name, bits in rows.items()
}
"""Every dtype Weigh knows, by name."""
