"""The contract that every format keeps, for the format of this package."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import weigh
from weigh.testing import FormatContract, open_with
from weigh_llama2c import FORMAT, _weights

SIZES = {
    "dim": 8, "hidden_dim": 12, "n_layers": 2, "n_heads": 4,
    "n_kv_heads": 2, "vocab_size": 10, "max_seq_len": 16,
}  # fmt: skip


class TestLlama2c(FormatContract):
    format = FORMAT

    @pytest.fixture
    def expected(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        shapes = [*_weights(SIZES), ("output.weight", (SIZES["vocab_size"], SIZES["dim"]))]
        return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes}

    @pytest.fixture
    def example(self, tmp_path: Path, expected: dict[str, np.ndarray]) -> Path:
        path = tmp_path / "stories.bin"
        header = struct.pack("<Ii7iB", 0x616B3432, 1, *SIZES.values(), 0)
        body = b"".join(array.tobytes() for array in expected.values())
        path.write_bytes(header.ljust(256, b"\0") + body)
        return path

    def test_the_header_is_stated(self, example: Path) -> None:
        network = open_with(FORMAT, example)
        assert network.kind == "Transformer"
        assert network.dim == 8
        assert network.hyperparameters["n_heads"].status == "stated"

    def test_its_layers_are_told(self, example: Path) -> None:
        network = open_with(FORMAT, example)
        assert network["layers.0.attention.wk"].kind == "Linear"
        assert network["tok_embeddings"].kind == "Embedding"
        assert isinstance(network.norm.weight, weigh.Parameter)
