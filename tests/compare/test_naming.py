"""Which names of two networks mean the same tensor, held against names that libraries make."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import gguf
import h5py
import pytest
import torch
import transformer_names as names
from gguf.tensor_mapping import get_tensor_name_map
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.utils import parametrizations

import flax_written
import weigh
from weigh._compare.naming import NamedShape, NamePair, pair_names
from weigh._compare.renames import renames

needs_keras = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs keras")


def parameters(shapes: Mapping[str, tuple[int, ...] | None]) -> list[NamedShape]:
    return [NamedShape(name, shape, "parameter") for name, shape in shapes.items()]


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def pairs_of(
    a: Mapping[str, tuple[int, ...] | None], b: Mapping[str, tuple[int, ...] | None]
) -> dict[str, str]:
    """Pair two networks' names, and see that it makes no difference which comes first."""
    found = pair_names(parameters(a), parameters(b))
    back = pair_names(parameters(b), parameters(a))
    assert {(pair.a, pair.b) for pair in found} == {(pair.b, pair.a) for pair in back}
    return {pair.a: pair.b for pair in found}


def compiled(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own use of what it gave up
        return torch.compile(module)  # type: ignore[return-value]


def hows(pairs: Iterable[NamePair]) -> set[str]:
    return {pair.how for pair in pairs}


# Wrappers


def small() -> nn.Module:
    return nn.Sequential(
        nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 2))
    )


def test_equal_names_pair_whatever_their_shapes() -> None:
    found = pair_names(parameters({"w": (3, 4), "v": None}), parameters({"v": (1,), "w": (9,)}))
    assert found == [NamePair("w", "w", "name"), NamePair("v", "v", "name")]
    assert renames(found) == []


def test_a_compiled_module() -> None:
    plain = shapes_of(small())
    faster = shapes_of(compiled(small()))
    assert pairs_of(faster, plain) == {name: name[10:] for name in faster}
    found = pair_names(parameters(faster), parameters(plain))
    assert hows(found) == {"without _orig_mod."}
    assert renames(found) == [("_orig_mod.*", "*", len(plain))]


def test_a_compiled_layer_within_a_module() -> None:
    net = small()
    plain = shapes_of(net)
    net[2] = compiled(net[2])
    within = shapes_of(net)
    found = pair_names(parameters(within), parameters(plain))
    assert {pair.a: pair.b for pair in found} == {n: n.replace("_orig_mod.", "") for n in within}
    assert hows(found) == {"name", "without _orig_mod."}
    assert renames(found) == [("N._orig_mod.*", "N.*", 4)]


@pytest.mark.parametrize(
    ("wrap", "how"),
    [
        ("module.{}", "prefix module."),
        ("module.module.{}", "without module."),
        ("_forward_module.{}", "without _forward_module."),
        ("base_model.model.{}", "prefix base_model.model."),
        ("state_dict.{}", "prefix state_dict."),
        ("model_state_dict.{}", "prefix model_state_dict."),
        ("model.{}", "prefix model."),
        ("encoder.backbone.{}", "prefix encoder.backbone."),
        ("net_{}", "prefix net_"),
        ("model._orig_mod.{}", "prefix model., without _orig_mod."),
    ],
)
def test_a_prefix(wrap: str, how: str) -> None:
    plain = shapes_of(small())
    found = pair_names(parameters({wrap.format(n): s for n, s in plain.items()}), parameters(plain))
    assert {pair.b: pair.a for pair in found} == {name: wrap.format(name) for name in plain}
    assert hows(found) == {how}
    assert renames(found) == [(wrap.format("*"), "*", len(plain))]


def test_what_data_parallel_wraps() -> None:
    wrapped = {f"module.{name}": shape for name, shape in shapes_of(small()).items()}
    assert shapes_of(nn.DataParallel(small())) == wrapped
    plain = shapes_of(small())
    assert pairs_of(wrapped, plain) == {name: name.removeprefix("module.") for name in wrapped}
    assert len(pairs_of(wrapped, shapes_of(compiled(small())))) == len(plain)


def test_wrappers_in_the_middle_of_names() -> None:
    inner = "._fsdp_wrapped_module._checkpoint_wrapped_module.self_attn."
    sharded = {
        f"_fsdp_wrapped_module.{name.replace('.self_attn.', inner)}": name for name in names.LLAMA
    }
    shapes = {name: names.LLAMA[plain] for name, plain in sharded.items()}
    assert pairs_of(shapes, names.LLAMA) == sharded
    checkpointed = nn.Sequential(nn.Linear(2, 2), checkpoint_wrapper(nn.Linear(2, 2)))
    live = {name: tuple(one.shape) for name, one in checkpointed.named_parameters()}
    saved = shapes_of(checkpointed)
    assert pairs_of(live, saved) == {n: n.replace("_checkpoint_wrapped_module.", "") for n in live}


def test_what_peft_wraps() -> None:
    """LoRA keeps the weight below ``base_layer``, and adds two whose names have the adapter's."""
    plain = {"h.0.attn.weight": (6, 6), "h.0.attn.bias": (6,), "score.weight": (2, 6)}
    tuned = {
        "base_model.model.h.0.attn.base_layer.weight": (6, 6),
        "base_model.model.h.0.attn.base_layer.bias": (6,),
        "base_model.model.h.0.attn.lora_A.default.weight": (2, 6),
        "base_model.model.h.0.attn.lora_B.default.weight": (6, 2),
        "base_model.model.score.original_module.weight": (2, 6),
        "base_model.model.score.modules_to_save.default.weight": (2, 6),
    }
    assert pairs_of(tuned, plain) == {
        "base_model.model.h.0.attn.base_layer.weight": "h.0.attn.weight",
        "base_model.model.h.0.attn.base_layer.bias": "h.0.attn.bias",
        "base_model.model.score.original_module.weight": "score.weight",
    }
    saved = {n.replace(".default", ""): s for n, s in tuned.items() if "lora" in n}
    assert pairs_of(tuned, saved) == {n: n.replace(".default", "") for n in tuned if "lora" in n}


def test_parametrizations_of_pytorch() -> None:
    plain = shapes_of(nn.Sequential(nn.Linear(3, 5)))
    new = shapes_of(nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 5))))
    old = shapes_of(nn.Sequential(nn.utils.spectral_norm(nn.Linear(3, 5))))
    original = "0.parametrizations.weight.original"
    assert pairs_of(new, plain) == {original: "0.weight", "0.bias": "0.bias"}
    assert pairs_of(old, plain) == {"0.weight_orig": "0.weight", "0.bias": "0.bias"}
    assert pairs_of(new, old)[original] == "0.weight_orig"

    new = shapes_of(nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 5))))
    with pytest.warns(FutureWarning, match="deprecated"):
        old = shapes_of(nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 5))))
    assert pairs_of(new, old) == {
        "0.bias": "0.bias",
        "0.parametrizations.weight.original0": "0.weight_g",
        "0.parametrizations.weight.original1": "0.weight_v",
    }


# Prefixes


@pytest.mark.parametrize("other", ["bert.", "roberta.encoder.x.", "electra."])
def test_a_base_model_has_a_prefix_that_the_heads_have_not(other: str) -> None:
    body = {n.removeprefix("bert."): s for n, s in names.BERT.items()}
    head = {"cls.predictions.bias": (200,), "cls.predictions.transform.dense.weight": (32, 32)}
    whole = {other + name: shape for name, shape in body.items()} | head
    assert pairs_of(whole, body) == {other + name: name for name in body}


def test_one_prefix_in_place_of_another() -> None:
    other = {name.replace("bert.", "roberta."): shape for name, shape in names.BERT.items()}
    found = pair_names(parameters(names.BERT), parameters(other))
    assert {p.a: p.b for p in found} == {n: n.replace("bert.", "roberta.") for n in names.BERT}
    assert hows(found) == {"prefix bert. → roberta."}
    assert renames(found) == [("bert.*", "roberta.*", len(other))]


def test_two_towers_each_with_its_own_prefix() -> None:
    text = {f"layers.{i}.mlp.weight": (8, 8) for i in range(9)}
    vision = {f"blocks.{i}.conv.weight": (4, 4, 3, 3) for i in range(5)}
    a = {f"text_model.{n}": s for n, s in text.items()}
    a |= {f"vision_model.{n}": s for n, s in vision.items()}
    b = {f"text.{n}": s for n, s in text.items()} | {
        f"visual.trunk.{n}": s for n, s in vision.items()
    }
    assert len(pairs_of(a, b)) == 14
    assert len(pairs_of(a, text | vision)) == 14
    assert pairs_of(a, vision) == {f"vision_model.{n}": n for n in vision}


def test_what_two_prefixes_explain_equally_well_has_no_partner() -> None:
    """A momentum encoder has all that the encoder has."""
    plain = {f"layer{i}.weight": (4, 4) for i in range(6)}
    both = {f"{side}.{n}": s for side in ("encoder_q", "encoder_k") for n, s in plain.items()}
    assert pairs_of(both, plain) == {}
    assert pairs_of({f"module.{n}": s for n, s in both.items()}, plain) == {}
    # One of them has more that agrees, so it is the one.
    assert pairs_of(both, plain | {"fc.weight": (2, 4)}) == {}
    more = both | {"encoder_q.fc.weight": (2, 4)}
    assert pairs_of(more, plain | {"fc.weight": (2, 4)}).keys() == {
        name for name in more if name.startswith("encoder_q.")
    }


def test_averages_do_not_stand_in_the_way_of_the_network() -> None:
    plain = {f"layer{i}.weight": (4, 4) for i in range(6)}
    whole = [NamedShape(f"model.{n}", s, "parameter") for n, s in plain.items()]
    whole += [NamedShape(f"ema.{n}", s, "other") for n, s in plain.items()]
    found = pair_names(whole, parameters(plain))
    assert {pair.a: pair.b for pair in found} == {f"model.{n}": n for n in plain}
    averages = [NamedShape(n, s, "other") for n, s in plain.items()]
    assert len(pair_names(whole[6:], averages)) == 6
    state = [NamedShape(f"model.{n}", s, "optimizer") for n, s in plain.items()]
    assert pair_names(state, parameters(plain)) == []


# Shapes


def test_two_names_with_one_meaning_on_a_side_pair_with_nothing() -> None:
    both = {"module.fc.weight": (2, 3), "_orig_mod.fc.weight": (2, 3)}
    assert pairs_of(both, {"fc.weight": (2, 3)}) == {}


def test_shapes_that_cannot_be_one_tensor_do_not_pair() -> None:
    plain = {"fc.weight": (4, 6), "fc.bias": (4,)}
    for shape, pairs in {(6, 4): 2, (2, 2, 6): 2, (4, 9): 2, (5, 7): 1, (4, 6, 2): 1}.items():
        assert len(pairs_of({"module.fc.weight": shape, "module.fc.bias": (4,)}, plain)) == pairs
    assert len(pairs_of({"module.fc.weight": None, "module.fc.bias": (4,)}, plain)) == 2


def test_a_grown_vocabulary_takes_its_bias_along() -> None:
    a = {"emb.weight": (10, 4), "out.weight": (10, 4), "out.bias": (10,), "fc.bias": (5,)}
    b = {"emb.weight": (12, 4), "out.weight": (12, 4), "out.bias": (12,), "fc.bias": (6,)}
    found = pairs_of({f"module.{name}": shape for name, shape in a.items()}, b)
    assert found == {f"module.{name}": name for name in a if name != "fc.bias"}


def test_a_network_of_another_size_is_another_network() -> None:
    large = {n: tuple(2 * size for size in shape) for n, shape in names.BERT.items()}
    assert pairs_of({f"module.{name}": shape for name, shape in large.items()}, names.BERT) == {}


UNRELATED = {
    "bert": names.BERT,
    "gpt2": names.GPT2,
    "phi2": names.PHI2,
    "llama": names.LLAMA,
    "mixtral": {n: tuple(3 * size for size in s) for n, s in names.MIXTRAL.items()},
    "cnn": shapes_of(small()),
    "transformer": shapes_of(nn.Transformer(16, 2, 2, 2, 24, batch_first=True)),
    "lstm": shapes_of(nn.ModuleDict({"rnn": nn.LSTM(4, 5, 2), "out": nn.Linear(5, 3)})),
}


@pytest.mark.parametrize("b", UNRELATED)
@pytest.mark.parametrize("a", UNRELATED)
def test_unrelated_networks_have_next_to_nothing_in_common(a: str, b: str) -> None:
    if a < b:
        found = pairs_of(UNRELATED[a], UNRELATED[b])
        assert {name for name, other in found.items() if name != other} == set()


# Transformers


def in_gguf(shapes: Mapping[str, tuple[int, ...]], arch: str) -> dict[str, str]:
    """Give the name in a GGUF file of each of Hugging Face's, as llama.cpp's converter does."""
    table = get_tensor_name_map(gguf.MODEL_ARCH[arch], names.LAYERS)
    found = {n: table.get_name(n.removeprefix("bert."), (".weight", ".bias")) for n in shapes}
    return {name: theirs or "?" for name, theirs in found.items()}


FAMILIES = {
    "LLAMA": names.LLAMA, "QWEN2": names.QWEN2, "QWEN3": names.QWEN3, "GEMMA": names.GEMMA,
    "GEMMA2": names.GEMMA2, "GEMMA3": names.GEMMA3, "PHI2": names.PHI2, "PHI3": names.PHI3,
    "GPT2": names.GPT2, "GPTNEOX": names.GPT_NEOX, "BERT": names.BERT,
}  # fmt: skip


@pytest.mark.parametrize("arch", FAMILIES)
@pytest.mark.parametrize("prefix", ["", "module.", "wrapped.language_model."])
def test_names_of_llama_cpp(arch: str, prefix: str) -> None:
    theirs = in_gguf(FAMILIES[arch], arch)
    assert "?" not in theirs.values()
    a = {prefix + name: shape for name, shape in FAMILIES[arch].items()}
    # GGUF holds matrices the way PyTorch does, whatever way round they were.
    b = {theirs[name]: shape[::-1] for name, shape in FAMILIES[arch].items()}
    assert pairs_of(a, b) == {prefix + name: gguf_name for name, gguf_name in theirs.items()}
    found = pair_names(parameters(a), parameters(b))
    assert all("GGUF name" in pair.how for pair in found)


def test_names_of_llama_cpp_without_the_base_models_prefix() -> None:
    theirs = in_gguf(names.BERT, "BERT")
    plain = {n.removeprefix("bert."): s for n, s in names.BERT.items()}
    found = pairs_of(plain, {theirs[name]: shape for name, shape in names.BERT.items()})
    assert found == {name.removeprefix("bert."): gguf_name for name, gguf_name in theirs.items()}


def test_one_row_says_how_a_layers_name_differs() -> None:
    theirs = in_gguf(names.LLAMA, "LLAMA")
    b = {theirs[name]: shape for name, shape in names.LLAMA.items()}
    rows = renames(pair_names(parameters(b), parameters(names.LLAMA)))
    assert ("blk.N.attn_q.weight", "model.layers.N.self_attn.q_proj.weight", 3) in rows
    assert ("output.weight", "lm_head.weight", 1) in rows
    assert len(rows) == 12


@pytest.mark.parametrize("shapes", [names.LLAMA, names.MIXTRAL])
def test_names_of_metas_own_files(shapes: names.Shapes) -> None:
    meta = {name: names.by_meta(name) for name in shapes}
    assert pairs_of(shapes, {meta[name]: shape for name, shape in shapes.items()}) == meta
    found = pair_names(parameters(shapes), parameters({meta[n]: s for n, s in shapes.items()}))
    assert hows(found) == {"prefix model., Meta name", "Meta name", "prefix model."}


def test_experts_that_llama_cpp_kept_apart() -> None:
    """Before it stacked them, each had its number in its name; routers and the rest are as ever."""
    theirs = in_gguf(names.MIXTRAL, "LLAMA")
    kinds = {"w1": "gate", "w2": "down", "w3": "up"}
    for name in names.MIXTRAL:
        if ".experts." in name:
            layer, expert, kind = (name.split(".")[i] for i in (2, 5, 6))
            theirs[name] = f"blk.{layer}.ffn_{kinds[kind]}.{expert}.weight"
    b = {theirs[name]: shape for name, shape in names.MIXTRAL.items()}
    assert pairs_of(names.MIXTRAL, b) == theirs


def test_experts_that_llama_cpp_stacked_have_no_single_partner() -> None:
    theirs = in_gguf({n: s for n, s in names.MIXTRAL.items() if "experts" not in n}, "LLAMA")
    b = {theirs[name]: names.MIXTRAL[name] for name in theirs}
    stacked = {f"blk.{i}.ffn_up_exps.weight": (4, names.INNER, names.WIDTH) for i in range(3)}
    assert pairs_of(names.MIXTRAL, b | stacked) == theirs


# TensorFlow


def test_norms_of_bert_as_tensorflow_called_them() -> None:
    def old(name: str) -> str:
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        return name.replace("LayerNorm.bias", "LayerNorm.beta")

    found = pair_names(
        parameters({old(name): shape for name, shape in names.BERT.items()}),
        parameters(names.BERT),
    )
    assert {pair.a: pair.b for pair in found} == {old(name): name for name in names.BERT}
    assert hows(found) == {"name", "old TensorFlow name"}
    assert renames(found) == [("*.gamma", "*.weight", 7), ("*.beta", "*.bias", 7)]


@pytest.mark.parametrize(
    ("number", "how"), [("layer_{}", "TensorFlow name"), ("layer_._{}", "Keras name")]
)
def test_bert_as_tensorflow_wrote_it(number: str, how: str) -> None:
    def old(name: str) -> str:
        for i in range(names.LAYERS):
            name = name.replace(f"layer.{i}.", number.format(i) + ".")
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        name = name.replace("LayerNorm.bias", "LayerNorm.beta").replace(
            "dense.weight", "dense.kernel"
        )
        for end in ("query", "key", "value"):
            name = name.replace(f"{end}.weight", f"{end}.kernel")
        return (
            name.replace("embeddings.weight", "embeddings").replace(".", "/").replace("_/_", "_._")
        )

    theirs = {name: old(name) for name in names.BERT}
    a = {
        theirs[name]: shape[::-1] if "kernel" in theirs[name] else shape
        for name, shape in names.BERT.items()
    }
    assert {b: a for a, b in pairs_of(a, names.BERT).items()} == theirs
    assert hows(pair_names(parameters(a), parameters(names.BERT))) == {how}


# Keras

SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import keras
from keras import layers as L
folder = sys.argv[1]
x = picture = keras.Input((12, 12, 3))
x = L.Conv2D(4, (3, 2), name="conv2d")(x)
x = L.BatchNormalization(name="norm")(x)
x = L.DepthwiseConv2D(3, name="deep")(x)
x = L.Reshape((8, -1))(L.Flatten()(x))
x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
x = L.LSTM(5, name="lstm")(x)
x = L.LayerNormalization(name="layer_norm")(x)
model = keras.Model(picture, L.Dense(7, name="dense")(x))
model.save(f"{folder}/model.keras")
model.save_weights(f"{folder}/model.weights.h5")
model.save(f"{folder}/model.h5")
words = keras.Input((6,))
keras.Model(words, L.Dense(3, name="out")(L.Embedding(20, 4, name="words")(words))).save(
    f"{folder}/words.keras"
)
"""


class Twin(nn.Module):
    """What `SCRIPT` makes, in PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(3, 4, (3, 2))
        self.norm = nn.BatchNorm2d(4)
        self.deep = nn.Conv2d(4, 4, 3, groups=4)
        self.both = nn.LSTM(36, 3, bidirectional=True)
        self.lstm = nn.LSTM(6, 5)
        self.layer_norm = nn.LayerNorm(5)
        self.dense = nn.Linear(5, 7)


TWINS = {
    "conv2d.kernel": "conv2d.weight",
    "conv2d.bias": "conv2d.bias",
    "norm.gamma": "norm.weight",
    "norm.beta": "norm.bias",
    "norm.moving_mean": "norm.running_mean",
    "norm.moving_variance": "norm.running_var",
    "deep.kernel": "deep.weight",
    "deep.bias": "deep.bias",
    "both.forward.kernel": "both.weight_ih_l0",
    "both.forward.recurrent_kernel": "both.weight_hh_l0",
    "both.backward.kernel": "both.weight_ih_l0_reverse",
    "both.backward.recurrent_kernel": "both.weight_hh_l0_reverse",
    "lstm.kernel": "lstm.weight_ih_l0",
    "lstm.recurrent_kernel": "lstm.weight_hh_l0",
    "layer_norm.gamma": "layer_norm.weight",
    "layer_norm.beta": "layer_norm.bias",
    "dense.kernel": "dense.weight",
    "dense.bias": "dense.bias",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        check=True,
        capture_output=True,
        env={**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(folder)},
    )
    return folder


def of_file(path: Path) -> list[NamedShape]:
    return [NamedShape(t.name, t.shape, t.role) for t in weigh.open(path).tensors()]


@needs_keras
@pytest.mark.parametrize("file", ["model.keras", "model.h5", "model.weights.h5"])
def test_files_of_keras(written: Path, file: str) -> None:
    net = of_file(written / file)
    found = pair_names(net, [*parameters(shapes_of(Twin()))])
    assert {pair.b for pair in found} == set(TWINS.values())
    for pair in found:
        theirs = pair.a.replace("depthwise_kernel", "kernel").split(".")
        theirs = [part.removesuffix("_layer").removesuffix("_lstm") for part in theirs]
        shown = ".".join(part for part in theirs if not part.endswith("cell"))
        assert TWINS[shown] == pair.b
    assert hows(found) == {"name", "Keras name"}


@needs_keras
def test_what_keras_looks_up(written: Path) -> None:
    torch_twin = {"words.weight": (20, 4), "out.weight": (3, 4), "out.bias": (3,)}
    found = pair_names(of_file(written / "words.keras"), parameters(torch_twin))
    assert {pair.b for pair in found} == set(torch_twin)


@needs_keras
def test_groups_of_keras_as_h5py_lists_them(written: Path) -> None:
    """Its variables have numbers, its layers the names of their classes."""
    listed: dict[str, tuple[int, ...]] = {}

    def note(name: str, one: h5py.Group | h5py.Dataset) -> None:
        if isinstance(one, h5py.Dataset):
            listed[name] = one.shape

    with h5py.File(written / "model.weights.h5") as file:
        file.visititems(note)
    found = pairs_of(listed, shapes_of(Twin()))
    assert found == {
        "layers/conv2d/vars/0": "conv2d.weight",
        "layers/conv2d/vars/1": "conv2d.bias",
        "layers/lstm/cell/vars/0": "lstm.weight_ih_l0",
        "layers/lstm/cell/vars/1": "lstm.weight_hh_l0",
        "layers/dense/vars/0": "dense.weight",
        "layers/dense/vars/1": "dense.bias",
    }


def test_older_names_of_keras() -> None:
    old = {
        "conv1d_1/conv1d_1/kernel:0": (3, 4, 8),
        "conv1d_1/conv1d_1/bias:0": (8,),
        "dense/dense/kernel:0": (8, 2),
    }
    new = {"conv1d_1.weight": (8, 4, 3), "conv1d_1.bias": (8,), "dense.weight": (2, 8)}
    assert list(pairs_of(old, new).values()) == list(new)


# Flax


def test_a_file_of_flax(tmp_path: Path) -> None:
    (tmp_path / "net.msgpack").write_bytes(flax_written.NET)
    net = of_file(tmp_path / "net.msgpack")
    theirs = {one.name: one.shape for one in net}
    ends = {"kernel": "weight", "scale": "weight", "embedding": "weight"}
    ends |= {"mean": "running_mean", "var": "running_var"}
    torch_twin, expected = {}, {}
    for name, shape in theirs.items():
        layer, leaf = name.split(".", 1)[1].rsplit(".", 1)
        expected[name] = f"{layer}.{ends.get(leaf, leaf)}"
        torch_twin[expected[name]] = shape[::-1]
    found = pair_names(net, parameters(torch_twin))
    assert {pair.a: pair.b for pair in found} == expected
    assert "Flax name" in hows(found)


def test_names_of_flax_with_slashes() -> None:
    a = {
        "params/Dense_0/kernel": (4, 3),
        "params/Dense_0/bias": (3,),
        "params/BatchNorm_0/scale": (3,),
        "params/BatchNorm_0/bias": (3,),
        "batch_stats/BatchNorm_0/mean": (3,),
        "batch_stats/BatchNorm_0/var": (3,),
    }
    b = {
        "Dense_0.weight": (3, 4),
        "Dense_0.bias": (3,),
        "BatchNorm_0.weight": (3,),
        "BatchNorm_0.bias": (3,),
        "BatchNorm_0.running_mean": (3,),
        "BatchNorm_0.running_var": (3,),
    }
    assert list(pairs_of(a, b).values()) == list(b)


# Laws

_parts = st.text(st.sampled_from("abcxyzAB012_N*"), min_size=1, max_size=4)
_names = st.lists(_parts, min_size=1, max_size=5).map(".".join)
_any_names = st.one_of(_names, st.text(max_size=12), st.sampled_from(
    [*names.LLAMA, *names.BERT, "a/vars/0", "a/vars/00", "x.recurrent_kernel", "recurrent_kernel",
     "kernel", "params", "module", "module.", "_orig_mod", ".", "", "N.N", "layers.N.mlp.fc1.a"]
))  # fmt: skip
_shapes = st.one_of(st.none(), st.lists(st.integers(0, 4), max_size=3).map(tuple))
_roles = st.sampled_from(["parameter", "parameter", "buffer", "optimizer", "other"])
_networks = st.lists(st.builds(NamedShape, _any_names, _shapes, _roles), max_size=12)


@given(_networks, _networks)
def test_each_name_is_in_one_pair_and_both_ways_are_one(
    a: list[NamedShape], b: list[NamedShape]
) -> None:
    found = pair_names(a, b)
    for names_of, network in (([p.a for p in found], a), ([p.b for p in found], b)):
        assert len(set(names_of)) == len(names_of)
        assert set(names_of) <= {one.name for one in network}
    assert {(p.b, p.a) for p in pair_names(b, a)} == {(p.a, p.b) for p in found}
    equal = {one.name for one in a} & {one.name for one in b}
    assert {p.a for p in found if p.how == "name"} == equal
    assert all(pair.how for pair in found)
    assert sum(count for _, _, count in renames(found)) == sum(p.a != p.b for p in found)


@given(
    st.sets(_names, min_size=1), st.text(min_size=1, max_size=8), st.sampled_from([".", "/", ""])
)
def test_whatever_prefix_all_names_get_they_are_found(
    plain: set[str], prefix: str, end: str
) -> None:
    before = prefix + end
    a = {before + name: (3, 4) for name in plain}
    # What has the prefix by itself is another tensor of that name.
    if not a.keys() & plain and not any(name.startswith(before) for name in plain):
        assert pairs_of(a, dict.fromkeys(plain, (3, 4))) == {before + n: n for n in plain}


# Hostile names


@pytest.mark.parametrize(
    "name",
    [
        "." * 100_000,
        "module." * 50_000,
        "_orig_mod" * 50_000,
        "a" * 1_000_000,
        "lora_" + "a" * 100_000,
        "layers." + "0." * 50_000 + "mlp.up_proj.weight",
        "/" * 100_000 + ":0",
        "blk." + "9" * 100_000 + ".attn_q.weight",
        "x/vars/" + "9" * 10_000,
    ],
    ids=lambda name: name[:12],
)
def test_names_of_great_length_take_no_time(name: str) -> None:
    a = parameters({name: (2,), f"p.{name}": (3,), f"{name}.kernel": (4,)})
    b = parameters({f"module.{name}": (2,), "w": (4,)})
    begin = time.perf_counter()
    renames(pair_names(a, b))
    assert time.perf_counter() - begin < 2


def test_very_many_names_take_seconds() -> None:
    a = {f"layers.{i}.{n}.weight": (8, 8) for i in range(10_000) for n in "abcde"}
    begin = time.perf_counter()
    found = pair_names(parameters(a), parameters({f"module.{name}": s for name, s in a.items()}))
    assert len(found) == 50_000
    unlike = {f"blocks.{i}.{n}.weight": (8, 8) for i in range(10_000) for n in "vwxyz"}
    assert pair_names(parameters(a), parameters(unlike)) == []
    assert time.perf_counter() - begin < 15
