"""A script that lists a checkpoint's tensors with the usual libraries, as one would write it.

``python listing.py WAY FILE`` prints a JSON array of ``[name, dtype, shape]``. It is run as a file
of its own, so that it imports only what its way needs.
"""

from __future__ import annotations

import json
import sys
from typing import Any

Listed = list[tuple[str, str, list[int]]]


def with_safetensors(path: str, framework: str) -> Listed:
    from safetensors import safe_open

    names = {"F32": "float32"}
    with safe_open(path, framework=framework) as file:
        slices = [(name, file.get_slice(name)) for name in file.keys()]  # noqa: SIM118
        return [(name, names[s.get_dtype()], s.get_shape()) for name, s in slices]


def with_torch(path: str, **options: Any) -> Listed:
    import torch

    state = torch.load(path, weights_only=True, **options)
    return [(n, str(t.dtype).removeprefix("torch."), list(t.shape)) for n, t in state.items()]


WAYS = {
    "safetensors-numpy": lambda path: with_safetensors(path, "numpy"),
    "safetensors-pt": lambda path: with_safetensors(path, "pt"),
    "torch-mmap": lambda path: with_torch(path, mmap=True),
    "torch-eager": lambda path: with_torch(path),
}

if __name__ == "__main__":
    json.dump(WAYS[sys.argv[1]](sys.argv[2]), sys.stdout)
