"""A small real file of every format, written by the format's own library, and what is in it.

The contract tests and the fuzzers begin from these.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Writer = Callable[[Path], tuple[Path, Arrays]]
"""Writes an example into a folder; gives its path, and every tensor in it by name."""


def arrays() -> Arrays:
    """Some tensors of several types and ranks."""
    rng = np.random.default_rng(3)
    return {
        "conv.weight": rng.standard_normal((3, 2, 2, 2)).astype("f4"),
        "conv.bias": rng.standard_normal(3).astype("f2"),
        "steps": np.array(7),
    }


def safetensors(folder: Path) -> tuple[Path, Arrays]:
    import safetensors.numpy

    path, state = folder / "example.safetensors", arrays()
    safetensors.numpy.save_file(state, path)
    return path, state


def gguf(folder: Path) -> tuple[Path, Arrays]:
    import gguf
    from gguf import GGMLQuantizationType as Type

    path = folder / "example.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_token_list(["a", "bc", ""] * 20)
    state = {"blk.0.attn_q.weight": arrays()["conv.weight"], "norm.weight": arrays()["conv.bias"]}
    for name, array in state.items():
        writer.add_tensor(name, array)
    rows = np.random.default_rng(0).standard_normal((3, 64)).astype("f4")
    blocks = gguf.quants.quantize(rows, Type.Q4_0)
    writer.add_tensor("output.weight", blocks, raw_dtype=Type.Q4_0)
    state["output.weight"] = gguf.quants.dequantize(blocks, Type.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, state


def npz(folder: Path) -> tuple[Path, Arrays]:
    path, state = folder / "example.npz", arrays()
    np.savez(path, **state)
    return path, state


def npy(folder: Path) -> tuple[Path, Arrays]:
    path, array = folder / "example.npy", arrays()["conv.weight"]
    np.save(path, array)
    return path, {"example": array}


def torchscript(folder: Path) -> tuple[Path, Arrays]:
    import torch

    module, state = _network()
    path = folder / "example.jit"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), path)
    return path, state


def torch_export(folder: Path) -> tuple[Path, Arrays]:
    import torch

    module, state = _network()
    path = folder / "example.pt2"
    torch.export.save(torch.export.export(module, (torch.ones(1, 2, 3, 3),)), path)
    return path, state


def _network() -> tuple[Any, Arrays]:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 2), torch.nn.BatchNorm2d(3)).eval()
    return module, {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def flax(folder: Path) -> tuple[Path, Arrays]:
    """As ``flax.serialization.to_bytes`` does it; see ``flax_written`` for files of its own."""
    import msgpack

    def packed(array: np.ndarray) -> msgpack.ExtType:
        shape_type_values = (array.shape, array.dtype.name, array.tobytes())
        return msgpack.ExtType(1, msgpack.packb(shape_type_values, use_bin_type=True))

    path, state = folder / "example.msgpack", arrays()
    state["table"] = np.arange(6.0).reshape(3, 2)
    halves = {
        str(i): packed(half.reshape(-1)) for i, half in enumerate(np.split(state["table"], 3))
    }
    tree: dict[str, object] = {
        "conv": {"weight": packed(state["conv.weight"]), "bias": packed(state["conv.bias"])},
        "steps": packed(state["steps"]),
        "epoch": 3,
        "table": {
            "__msgpack_chunked_array__": True,
            "shape": {"0": 3, "1": 2},
            "chunks": halves,
        },
    }
    path.write_bytes(msgpack.packb(tree, strict_types=True))
    return path, state


def keras(folder: Path) -> tuple[Path, Arrays]:
    """Keras's archive in its own layout, which is written here by h5py as Keras does."""
    import io
    import zipfile

    import h5py

    state = {"fc.kernel": arrays()["conv.weight"].reshape(3, 8), "fc.bias": np.ones(8, "f4")}
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        own = file.create_group("layers/dense/vars")
        own.attrs["name"] = "fc"
        for number, array in enumerate(state.values()):
            own[str(number)] = array
        file.create_group("vars")
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "fc", "units": 8}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    path = folder / "example.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path, state


def hdf5(folder: Path) -> tuple[Path, Arrays]:
    import h5py

    path, state = folder / "example.h5", arrays()
    with h5py.File(path, "w") as file:
        for name, array in state.items():
            packed = {"compression": "gzip", "shuffle": True} if array.ndim > 1 else {}
            file.create_dataset(name.replace(".", "/"), data=array, **packed)
    return path, state


def torch_zip(folder: Path) -> tuple[Path, Arrays]:
    return _torch(folder, zipped=True)


def torch_legacy(folder: Path) -> tuple[Path, Arrays]:
    return _torch(folder, zipped=False)


def _torch(folder: Path, *, zipped: bool) -> tuple[Path, Arrays]:
    import torch

    path, state = folder / "example.pt", arrays()
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    return path, state


def sharded(folder: Path) -> tuple[Path, Arrays]:
    import safetensors.numpy

    state = arrays()
    where = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(state)}
    for file in set(where.values()):
        part = {name: array for name, array in state.items() if where[name] == file}
        safetensors.numpy.save_file(part, folder / file)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return path, state


def dcp(folder: Path) -> tuple[Path, Arrays]:
    import torch
    import torch.distributed.checkpoint

    place, state = folder / "dcp", arrays()
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that there is no process group
        torch.distributed.checkpoint.save({"model": tensors}, checkpoint_id=place)
    return place, state


def deepspeed(folder: Path) -> tuple[Path, Arrays]:
    import torch

    import deepspeed_written

    rng = np.random.default_rng(5)
    state = {"fc.weight": rng.standard_normal((3, 5)).astype("f4"), "fc.bias": np.ones(3, "f4")}
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    place = deepspeed_written.write(folder / "step", tensors, world=1, group=16)
    return place, state


def megatron(folder: Path) -> tuple[Path, Arrays]:
    place = folder / "megatron"
    inner = place / "iter_0000007/mp_rank_00"
    inner.mkdir(parents=True)
    path, state = _torch(inner, zipped=True)
    path.rename(inner / "model_optim_rng.pt")
    (place / "latest_checkpointed_iteration.txt").write_text("7")
    return place, state


def model_folder(folder: Path) -> tuple[Path, Arrays]:
    place = folder / "model"
    place.mkdir()
    _, state = sharded(place)
    (place / "config.json").write_text('{"architectures": ["Tiny"], "hidden_size": 2}')
    return place, state


def onnx(folder: Path) -> tuple[Path, Arrays]:
    import onnx
    from onnx import helper, numpy_helper

    path, state = folder / "example.onnx", arrays()
    counts = np.array([3, -1, 2**40])
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["y"], strides=[2, 1]),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Pow", ["y", "half"], ["z"]),
    ]
    inside = [numpy_helper.from_array(array, name) for name, array in state.items()]
    inside.append(helper.make_tensor("counts", onnx.TensorProto.INT64, [3], counts))
    model = helper.make_model(helper.make_graph(nodes, "toy", [], [], inside))
    path.write_bytes(model.SerializeToString())
    return path, {**state, "counts": counts, "half": np.float32(0.5)}


WRITERS: dict[str, Writer] = {
    "safetensors": safetensors,
    "gguf": gguf,
    "npy": npy,
    "torchscript": torchscript,
    "torch-export": torch_export,
    "flax": flax,
    "keras": keras,
    "hdf5": hdf5,
    "npz": npz,
    "torch-zip": torch_zip,
    "torch-legacy": torch_legacy,
    "sharded": sharded,
    "dcp": dcp,
    "deepspeed": deepspeed,
    "megatron": megatron,
    "folder": model_folder,
    "onnx": onnx,
}
"""By the format's name; there is one for every format."""
