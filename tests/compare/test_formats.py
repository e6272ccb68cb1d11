"""One network in the formats of several frameworks, written by their own libraries."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import quants
from safetensors.numpy import save_file

import weigh

os.environ.setdefault("KERAS_BACKEND", "torch")

Arrays = dict[str, np.ndarray]


def kinds(report: weigh.DiffReport) -> Counter[str]:
    return Counter(change.kind for change in report)


def words(report: weigh.DiffReport) -> dict[str, str]:
    return {change.name: change.words for change in report if change.words}


pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
"""Keras's own arrays, on the way into NumPy."""


@pytest.fixture(scope="module")
def keras_twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Arrays, list[Path]]:
    """A network of Keras's in two files, and its weights as PyTorch has them; fc2 is square."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        layers.Input((8, 8, 3)), layers.Conv2D(6, (3, 5), name="conv"), layers.Flatten(),
        layers.Dense(32, name="fc1"), layers.Dense(32, name="fc2"),
    ])  # fmt: skip
    folder = tmp_path_factory.mktemp("keras")
    model.save(folder / "m.keras")
    model.save_weights(folder / "m.weights.h5")
    twin = {}
    for name, order in (("conv", (3, 2, 0, 1)), ("fc1", (1, 0)), ("fc2", (1, 0))):
        kernel, bias = model.get_layer(name).get_weights()
        twin[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(order))
        twin[f"{name}.bias"] = bias + np.arange(len(bias), dtype=np.float32)
        model.get_layer(name).set_weights([kernel, twin[f"{name}.bias"]])
    model.save(folder / "m.keras")
    model.save_weights(folder / "m.weights.h5")
    return twin, [folder / "m.keras", folder / "m.weights.h5"]


def test_keras_against_pytorch(keras_twins: tuple[Arrays, list[Path]]) -> None:
    twin, files = keras_twins
    for path in files:
        report = weigh.diff(twin, path)
        assert kinds(report) == {"relaid": 3, "unchanged": 3}
        assert words(report) == {
            "conv.weight": "axes in the order 2, 3, 1, 0",
            "fc1.weight": "transposed",
            "fc2.weight": "transposed",
        }
        assert {c.how for c in report.of("relaid")} == {"Keras name"}
        assert report.story[0].kind == "same weights"
        back = weigh.diff(path, twin)
        assert words(back)["conv.kernel"] == "axes in the order 3, 2, 0, 1"


def test_what_changed_between_frameworks_is_measured_in_the_order_of_a(
    keras_twins: tuple[Arrays, list[Path]],
) -> None:
    twin, files = keras_twins
    rng = np.random.default_rng(0)
    a = {n: v + rng.normal(size=v.shape).astype(np.float32) * 0.01 for n, v in twin.items()}
    report = weigh.diff(a, files[0])
    assert kinds(report) == {"changed": 6}
    for name, array in a.items():
        found = report[name].difference
        assert found is not None
        expected = np.linalg.norm((twin[name] - array).astype(float)) / np.linalg.norm(array)
        assert found.relative_change == pytest.approx(expected, rel=1e-5)
        at = np.unravel_index(np.abs(twin[name] - array).argmax(), array.shape)
        assert found.max_at == at


HEADS, KEYS, HIDDEN, INNER = 8, 4, 64, 128


def llama() -> tuple[Arrays, dict[str, str]]:
    """A small network with Hugging Face's names, and the names that llama.cpp gives them."""
    rng = np.random.default_rng(0)
    leaves = {
        "self_attn.q_proj": ("attn_q", (HIDDEN, HIDDEN)),
        "self_attn.k_proj": ("attn_k", (HIDDEN // 2, HIDDEN)),
        "self_attn.v_proj": ("attn_v", (HIDDEN // 2, HIDDEN)),
        "self_attn.o_proj": ("attn_output", (HIDDEN, HIDDEN)),
        "mlp.gate_proj": ("ffn_gate", (INNER, HIDDEN)),
        "mlp.up_proj": ("ffn_up", (INNER, HIDDEN)),
        "mlp.down_proj": ("ffn_down", (HIDDEN, INNER)),
        "input_layernorm": ("attn_norm", (HIDDEN,)),
        "post_attention_layernorm": ("ffn_norm", (HIDDEN,)),
    }
    names = {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight",
             "model.norm.weight": "output_norm.weight"}  # fmt: skip
    shapes = dict(zip(names, ((200, HIDDEN), (200, HIDDEN), (HIDDEN,)), strict=True))
    for i in range(2):
        for leaf, (theirs, shape) in leaves.items():
            names[f"model.layers.{i}.{leaf}.weight"] = f"blk.{i}.{theirs}.weight"
            shapes[f"model.layers.{i}.{leaf}.weight"] = shape
    return {n: rng.normal(size=s).astype(np.float32) * 0.05 for n, s in shapes.items()}, names


def rotary(weight: np.ndarray, heads: int) -> np.ndarray:
    """Put the rows of queries and keys into the order of llama.cpp, as its converter does."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


@pytest.mark.parametrize(("kind", "moved"), [("Q8_0", 0.015), ("Q4_0", 0.15), ("Q5_1", 0.08)])
def test_what_was_quantized_from_another_checkpoint_is_told(
    kind: str, moved: float, tmp_path: Path
) -> None:
    """The question is whether the right checkpoint was quantized: a fine-tune of it was not."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(256, 512)).astype(np.float32) * 0.05
    tuned = base + rng.normal(size=base.shape).astype(np.float32) * 0.05 * moved
    quantization = gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("w", quants.quantize(base, quantization), raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert weigh.diff({"w": base}, tmp_path / "m.gguf")["w"].kind == "recast"
    assert weigh.diff({"w": tuned}, tmp_path / "m.gguf")["w"].kind == "changed"


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_0", "Q5_1"])
def test_hugging_face_against_llama_cpp(kind: str, tmp_path: Path) -> None:
    weights, names = llama()
    save_file(weights, tmp_path / "model.safetensors")
    quantization = gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    for name, array in weights.items():
        turned = array
        if "q_proj" in name or "k_proj" in name:
            turned = rotary(array, HEADS if "q_proj" in name else KEYS)
        if array.ndim == 1 or kind == "F32":
            writer.add_tensor(names[name], turned)
        elif kind == "F16":
            writer.add_tensor(names[name], turned.astype(np.float16))
        else:
            packed = quants.quantize(turned, quantization)
            writer.add_tensor(names[name], packed, raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    report = weigh.diff(tmp_path / "model.safetensors", tmp_path / "m.gguf")
    assert {c.name: c.b.name for c in report if c.b is not None} == names
    assert report.story[0].kind == "same weights"
    if kind == "F32":
        assert kinds(report) == {"renamed": 17, "relaid": 4}
    else:
        assert kinds(report) == {"renamed": 5, "recast": 16}
    for layer in range(2):
        query = report[f"model.layers.{layer}.self_attn.q_proj.weight"]
        assert "rotary" in query.words
        found = query.difference
        assert found is not None
        near = {"F32": 0, "F16": 3e-4, "Q8_0": 0.01, "Q4_0": 0.15, "Q5_1": 0.06}[kind]
        assert found.relative_change <= near
