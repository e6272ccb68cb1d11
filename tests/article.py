"""The article's network as a safetensors file, made without PyTorch."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

SHAPES = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (12, 6, 5, 5),
    "conv2.bias": (12,),
    "fc1.weight": (120, 192),
    "fc1.bias": (120,),
    "fc2.weight": (60, 120),
    "fc2.bias": (60,),
    "out.weight": (10, 60),
    "out.bias": (10,),
}


def arrays() -> dict[str, np.ndarray]:
    """The network's tensors, filled with numbers that are easy to tell apart."""
    random = np.random.default_rng(0)
    return {name: random.uniform(-0.2, 0.2, shape).astype("f4") for name, shape in SHAPES.items()}


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Write float32 arrays by the format's own rules."""
    header, offset = {}, 0
    for name, array in tensors.items():
        ends = [offset, offset + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": ends}
        offset += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(
        struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in tensors.values())
    )
    return path
