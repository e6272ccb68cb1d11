"""Writes the measured tensors in other formats, each by its own library."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]
TOKENS = 150_000


def write_gguf(path: Path, tensors: Tensors) -> None:
    """Write GGUF with a vocabulary of 150,000 texts."""
    import gguf

    part = path.with_name(f"part-{path.name}")
    writer = gguf.GGUFWriter(part, "llama")
    writer.add_token_list([f"token{i}" for i in range(TOKENS)])
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


def write_onnx(path: Path, tensors: Tensors) -> None:
    """Write one ONNX file with everything in it."""
    path.write_bytes(_model(tensors).SerializeToString())


def write_onnx_beside(path: Path, tensors: Tensors) -> None:
    """Write an ONNX file and its tensors in another beside it."""
    import onnx

    path.parent.mkdir(parents=True, exist_ok=True)
    where = {"save_as_external_data": True, "all_tensors_to_one_file": True, "location": "data"}
    onnx.save_model(_model(tensors), path, **where)


def _model(tensors: Tensors):
    from onnx import helper, numpy_helper

    inside = [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in tensors.items()]
    nodes, at = [], "x"
    for i, name in enumerate(tensors):
        nodes.append(helper.make_node("MatMul", [at, name], [f"y{i}"]))
        at = f"y{i}"
    return helper.make_model(helper.make_graph(nodes, "many", [], [], inside))


def write_dcp(path: Path, tensors: Tensors) -> None:
    """Write a folder of torch.distributed.checkpoint."""
    import torch.distributed.checkpoint

    shutil.rmtree(path.parent, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that there is no process group
        torch.distributed.checkpoint.save(dict(tensors), checkpoint_id=path.parent)


def write_npz(path: Path, tensors: Tensors) -> None:
    """Write NumPy's archive."""
    import numpy as np

    np.savez(path, **{name: tensor.numpy() for name, tensor in tensors.items()})
