"""The files that are measured: made once, of real random bytes, in a process of their own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import run

if TYPE_CHECKING:
    import torch

TENSORS = 500
WIDTH = 512
EMBEDDING = "embed.weight"
SHARDS = 62
INDEX = "model.safetensors.index.json"
MADE = (
    "article.safetensors",
    "many-*MB.*/*",
    "many-*MB.*/.metadata",
    "many-*MB.*",
    "embedding-*MB.*",
    "weights-*MB.*",
    "trained-*MB.*",
    "part-*",
    "shards-*MB/*",
    "shards-*MB",
    "matrix-*.safetensors",
    "filters-*.safetensors",
    "blocks-*.safetensors",
    "network-*MB.*/*",
    "network-*MB.*",
)
"""The names of all files that are made here, as globs."""


def article(folder: Path) -> Path:
    """Make the article's network as a safetensors file."""
    (path,) = _made([folder / "article.safetensors"], [0])
    return path


def many(folder: Path, size: int) -> dict[str, Path]:
    """Make 500 float32 tensors of ``size`` MB in all, in three formats."""
    ends = {"safetensors": "safetensors", "torch-zip": "zip.pt", "torch-legacy": "legacy.pt"}
    paths = [folder / f"many-{size}MB.{end}" for end in ends.values()]
    return dict(zip(ends, _made(paths, [size] * len(ends)), strict=True))


def formats(folder: Path, size: int) -> dict[str, Path]:
    """Make the same 500 tensors in other formats; ONNX keeps less than 2 GB in one file."""
    inline = min(size, 1700)
    made = {
        "gguf": (f"many-{size}MB.gguf", size),
        "onnx": (f"many-{inline}MB.onnx", inline),
        "onnx-external": (f"many-{size}MB.external/model.onnx", size),
        "dcp": (f"many-{size}MB.dcp/.metadata", size),
        "npz": (f"many-{size}MB.npz", size),
    }
    paths = _made([folder / name for name, _ in made.values()], [one for _, one in made.values()])
    found = dict(zip(made, paths, strict=True))
    return found | {"dcp": found["dcp"].parent}


def shards(folder: Path, size: int) -> Path:
    """Make a model of 62 safetensors files, ``size`` MB in all; give their folder."""
    (index,) = _made([folder / f"shards-{size}MB" / INDEX], [size])
    return index.parent


def embeddings(folder: Path, sizes: Sequence[float]) -> list[tuple[Path, int]]:
    """Make a file of one float32 tensor for each of some sizes (MB); give each with its rows."""
    paths = [folder / f"embedding-{size:g}MB.safetensors" for size in sizes]
    return list(zip(_made(paths, sizes), map(_rows, sizes), strict=True))


KINDS = ("bf16", "f16", "f32", "f8", "f8-unscaled")
"""The types of the files of weights. Without a scale, most fp8 values are of a few patterns."""


def weights(folder: Path, kind: str, size: int, end: str = "safetensors") -> Path:
    """Make ``size`` MB of weights that look like trained ones.

    They are normal, of deviation 0.02; those of ``f8`` of deviation 1, as they lie beside a scale.
    Sixteen tensors, or with ``end`` ``"one.safetensors"`` a single one; or ``"zip.pt"``.
    """
    (path,) = _made([folder / f"weights-{size}MB.{kind}.{end}"], [size])
    return path


def trained(folder: Path, kind: str, size: int) -> Path:
    """Make ``size`` MB of weights of which no two are equal, and no two rows equally large."""
    (path,) = _made([folder / f"trained-{size}MB.{kind}.safetensors"], [size])
    return path


def changed(folder: Path, size: float, kind: str, changes: Sequence[str]) -> list[Path]:
    """Make a network of ``size`` MB once for each of some changes, named as in ``changes.py``.

    Each lies in a folder of its own, as some programs take nothing else: of the kind
    ``"bf16.safetensors"`` as ``model.safetensors``.
    """
    end = kind.partition(".")[2]
    paths = [folder / f"network-{size:g}MB.{kind}.{change}/model.{end}" for change in changes]
    return list(_made(paths, [size] * len(paths)))


def matrix(folder: Path, size: float) -> Path:
    """Make a square bf16 matrix: 16,384 x 16,384 where files are of 2,000 MB."""
    side = _side(16384, size)
    (path,) = _made([folder / f"matrix-{side}.safetensors"], [side])
    return path


def filters(folder: Path, size: float) -> Path:
    """Make float32 filters of 3 x 3: 512 x 512 of them where files are of 2,000 MB."""
    many = _side(512, size)
    (path,) = _made([folder / f"filters-{many}.safetensors"], [many])
    return path


def blocks(folder: Path, size: float) -> Path:
    """Make a network of small blocks: 10,000 tensors where files are of 2,000 MB."""
    many = max(1, round(min(1.0, size / 2000) * 834))
    (path,) = _made([folder / f"blocks-{many}.safetensors"], [many])
    return path


def tensors_of(blocks: Path) -> int:
    """Count the tensors of a network that ``blocks`` made: twelve a block."""
    return 12 * int(blocks.stem.partition("-")[2])


def _side(whole: int, size: float) -> int:
    return max(8, round(whole * min(1.0, size / 2000) ** 0.5))


def settle(path: Path) -> None:
    """Bring a file's pages into memory the way a first reading from the disk does.

    Pages that the system took away bit by bit come back in small pieces, and a mapping of them
    takes twenty times as many page faults. Measuring and reading both wait for those, so that any
    share of the speed of reading looks better than it is.
    """
    with path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.fsync(file.fileno())  # a page that is not written yet stays
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        piece = bytearray(1 << 20)
        while file.readinto(piece):
            pass


def _rows(size: float) -> int:
    return max(16, round(size * 500))


def _made(paths: Sequence[Path], sizes: Sequence[float]) -> Sequence[Path]:
    """Make those files that are not there yet, all in one process."""
    missing = [(path, size) for path, size in zip(paths, sizes, strict=True) if not path.exists()]
    arguments: list[str] = []
    for path, size in missing:
        print(f"making {path.name}", file=sys.stderr, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        arguments += [str(path), str(size)]
    if missing:
        run([sys.executable, "-m", "benchmarks.files", *arguments])
    return paths


def _make(path: Path, size: float) -> None:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    if path.name == INDEX:
        _make_shards(path, size)
        return
    if path.name.startswith("article"):
        tensors = dict(article_network().state_dict())
    elif path.name.startswith("embedding"):
        tensors = {EMBEDDING: _random(_rows(size))}
    elif path.name.startswith("weights"):
        _, kind, *end = path.name.split(".")
        tensors = _weights(kind, size, 1 if end[0] == "one" else 16)
    elif path.parent.name.startswith("network"):
        _, kind, *_, change = path.parent.name.split(".")
        tensors = _changed(kind, change, size)
    elif path.name.startswith(("matrix", "filters", "blocks")):
        tensors = _drawn(path.name.partition("-")[0], int(size))
    elif path.name.startswith("trained"):
        tensors = _trained(path.name.split(".")[1], size)
    else:
        tensors = _many(size)
    other = next((end for end in MAKERS if path.as_posix().endswith(end)), None)
    if other is not None:
        from benchmarks import other_formats

        getattr(other_formats, MAKERS[other])(path, tensors)
        return
    # A making that is broken off leaves no file of that name.
    part = path.with_name(f"part-{path.name}")
    if path.suffix == ".safetensors":
        save_file(tensors, part)
    else:
        torch.save(tensors, part, _use_new_zipfile_serialization=path.name.endswith(".zip.pt"))
    part.replace(path)


def _make_shards(index: Path, size: float) -> None:
    import torch
    from safetensors.torch import save_file

    rows = max(1, round(size * 1e6 / SHARDS / 12 / WIDTH / 4))
    where: dict[str, str] = {}
    for i in range(SHARDS):
        name = f"model-{i + 1:05}-of-{SHARDS:05}.safetensors"
        tensors = {f"layers.{i}.{j}.weight": torch.rand(rows, WIDTH) for j in range(12)}
        save_file(tensors, index.with_name(name))
        where |= dict.fromkeys(tensors, name)
    # The index last: without it the files are made again.
    index.write_text(json.dumps({"weight_map": where}), "utf-8")


MAKERS = {
    ".gguf": "write_gguf",
    ".external/model.onnx": "write_onnx_beside",
    ".onnx": "write_onnx",
    "/.metadata": "write_dcp",
    ".npz": "write_npz",
}
"""Who writes what is not PyTorch's and not safetensors, by the end of the path."""


def article_network() -> torch.nn.Module:
    """Make the article's network."""
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5)
            self.conv2 = nn.Conv2d(6, 12, 5)
            self.fc1 = nn.Linear(192, 120)
            self.fc2 = nn.Linear(120, 60)
            self.out = nn.Linear(60, 10)

    return Network()


def _random(rows: int) -> torch.Tensor:
    """Repeat one random block, each time moved a little: quick, and no two rows are equal."""
    import torch

    block = torch.rand(min(rows, 2000), WIDTH)
    whole = torch.empty(rows, WIDTH)
    for i, part in enumerate(torch.split(whole, len(block))):
        torch.add(block[: len(part)], i, out=part)
    return whole


def _weights(kind: str, size: float, many: int) -> dict[str, torch.Tensor]:
    """Make matrices of normal values; one is drawn, the others are its negative or it."""
    import torch

    dtypes = {
        "bf16": torch.bfloat16,
        "f16": torch.float16,
        "f32": torch.float32,
        "f8": torch.float8_e4m3fn,
        "f8-unscaled": torch.float8_e4m3fn,
    }
    dtype = dtypes[kind]
    rows = max(1, round(size * 1e6 / many / dtype.itemsize / 4096))
    scale = 1.0 if kind == "f8" else 0.02
    block = torch.randn(rows, 4096) * scale
    signs = [-1 if i % 2 else 1 for i in range(many)]
    return {f"layers.{i}.fc.weight": (block * sign).to(dtype) for i, sign in enumerate(signs)}


def _trained(kind: str, size: float) -> dict[str, torch.Tensor]:
    """Make matrices whose rows are of unequal size, as training makes them."""
    import torch

    dtype = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}[kind]
    rows = max(1, round(size * 1e6 / 16 / dtype.itemsize / 4096))
    made = {}
    for i in range(16):
        scale = 0.02 * torch.exp(0.3 * torch.randn(rows, 1))
        made[f"layers.{i}.fc.weight"] = (torch.randn(rows, 4096) * scale).to(dtype)
    return made


def _drawn(kind: str, many: int) -> dict[str, torch.Tensor]:
    """Make normal values of deviation 0.02, in tensors worth a picture."""
    import torch

    if kind == "matrix":
        whole = torch.empty(many, many, dtype=torch.bfloat16)
        for part in whole.split(1024):
            part.copy_(torch.randn(part.shape) * 0.02)
        return {"fc.weight": whole}
    if kind == "filters":
        return {"conv.weight": torch.randn(many, many, 3, 3) * 0.02}
    parts = {
        **{f"attention.{name}": (64, 64) for name in ("query", "key", "value", "output")},
        "mlp.up": (128, 64),
        "mlp.down": (64, 128),
    }
    made = {}
    for i in range(many):
        for name, shape in parts.items():
            made[f"layers.{i}.{name}.weight"] = torch.randn(shape) * 0.02
            made[f"layers.{i}.{name}.bias"] = torch.zeros(shape[0])
    return made


def _changed(kind: str, change: str, size: float) -> dict[str, torch.Tensor]:
    import torch

    from benchmarks.changes import CHANGES, network

    dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[kind]
    many, columns = (100, 4096) if size > 100 else (20, 256)
    return CHANGES[change](network(size, dtype, many, columns))


def _many(size: float) -> dict[str, torch.Tensor]:
    import torch

    block = torch.rand(max(1, round(size * 1e6 / 4 / TENSORS / 100)), 100)
    return {f"blocks.{i}.fc.weight": block + i for i in range(TENSORS)}


if __name__ == "__main__":
    for path, size in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        _make(Path(path), float(size))
