"""A script that lists a checkpoint's tensors with the usual libraries, as one would write it.

``python listing.py WAY FILE`` prints a JSON array of ``[name, dtype, shape]``. It is run as a file
of its own, so that it imports only what its way needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
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


def whole(url: str, fetch: Callable[[str], bytes]) -> Listed:
    """List a sharded model as one does who downloads it first."""
    from safetensors import deserialize

    names = {"F32": "float32"}
    index = json.loads(fetch(f"{url}/model.safetensors.index.json"))
    return [
        (name, names[about["dtype"]], about["shape"])
        for file in sorted(set(index["weight_map"].values()))
        for name, about in deserialize(fetch(f"{url}/{file}"))
    ]


def by_http(url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(url) as answer:
        data: bytes = answer.read()
        return data


def by_boto3() -> Callable[[str], bytes]:
    import boto3

    client = boto3.client("s3")

    def fetch(url: str) -> bytes:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    return fetch


def with_s3fs(url: str) -> Listed:
    """List a sharded model by the headers alone, as s3fs opens files."""
    import s3fs

    names = {"F32": "float32"}
    system = s3fs.S3FileSystem()
    index = json.loads(system.cat_file(f"{url}/model.safetensors.index.json"))
    listed: Listed = []
    for name in sorted(set(index["weight_map"].values())):
        with system.open(f"{url}/{name}") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        header.pop("__metadata__", None)
        listed += [(key, names[one["dtype"]], one["shape"]) for key, one in header.items()]
    return listed


def with_gguf(path: str) -> Listed:
    import gguf

    names = {"F32": "float32"}
    found = gguf.GGUFReader(path).tensors
    return [(t.name, names[t.tensor_type.name], t.shape[::-1].tolist()) for t in found]


def with_onnx(path: str, **options: Any) -> Listed:
    import onnx

    names = {onnx.TensorProto.FLOAT: "float32"}
    graph = onnx.load(path, **options).graph
    return [(t.name, names[t.data_type], list(t.dims)) for t in graph.initializer]


def with_dcp(path: str) -> Listed:
    from torch.distributed.checkpoint import FileSystemReader

    found = FileSystemReader(path).read_metadata().state_dict_metadata.items()
    return [(n, str(t.properties.dtype).removeprefix("torch."), list(t.size)) for n, t in found]


def with_numpy(path: str) -> Listed:
    import numpy as np

    with np.load(path) as arrays:
        return [(name, str(array.dtype), list(array.shape)) for name, array in arrays.items()]


WAYS = {
    "safetensors-numpy": lambda path: with_safetensors(path, "numpy"),
    "safetensors-pt": lambda path: with_safetensors(path, "pt"),
    "torch-mmap": lambda path: with_torch(path, mmap=True),
    "torch-eager": lambda path: with_torch(path),
    "gguf": with_gguf,
    "onnx": with_onnx,
    "onnx-external": lambda path: with_onnx(path, load_external_data=False),
    "torch-dcp": with_dcp,
    "numpy": with_numpy,
    "whole-http": lambda url: whole(url, by_http),
    "whole-s3": lambda url: whole(url, by_boto3()),
    "s3fs": with_s3fs,
}

if __name__ == "__main__":
    json.dump(WAYS[sys.argv[1]](sys.argv[2]), sys.stdout)
