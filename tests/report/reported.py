"""The networks that reports are tested on, and names that mean harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a\u202etxt.exe",
    "line\nbreak\ttab\x1b[2J",
    'it\'s "quoted" $(touch pwned) `id` \\ %41 {{index}}',
    "🎈.käse 层",
    "-rf",
    "__proto__",
    "constructor.prototype",
    "?findings",
    "a/b[0]",
    "ends in lines\n\n",
)


def arrays() -> dict[str, np.ndarray]:
    """A small convolutional network, with NaN, an infinity and an outlier in it."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / 8).astype("f4")

    state = {
        "conv1.weight": drawn(6, 1, 5, 5),
        "conv1.bias": drawn(6),
        "conv2.weight": drawn(12, 6, 5, 5),
        "conv2.bias": drawn(12),
        "fc1.weight": drawn(120, 192),
        "fc1.bias": drawn(120),
        "out.weight": drawn(10, 120),
        "out.bias": drawn(10),
    }
    state["fc1.weight"][3, 5] = np.nan
    state["fc1.weight"][30, 100] = np.inf
    state["out.weight"][4, 7] = 80
    return state


def changed() -> dict[str, np.ndarray]:
    """The same after some training: one tensor as before, one gone, one new."""
    rng = np.random.default_rng(1)
    state = arrays()
    for name, array in state.items():
        if name != "fc1.bias":
            array += (rng.standard_normal(array.shape) / 100).astype("f4")
    del state["out.bias"]
    state["head.weight"] = rng.standard_normal((4, 3)).astype("f4")
    return state


def saved(state: dict[str, np.ndarray], path: Path) -> Path:
    save_file(state, path)
    return path
