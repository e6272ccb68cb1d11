"""torch.distributed.checkpoint, held against PyTorch; sharded by two real processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorStorageMetadata,
)

import weigh
from weigh._errors import FormatError, SourceError, ValuesError
from weigh._index import Region

TWO_PROCESSES = """
import os, sys, torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

def run(rank, folder):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    meet = f"file://{folder}.meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Linear(7, 3))
    whole = {name: value.clone() for name, value in net.state_dict().items()}
    fully_shard(net, mesh=init_device_mesh("cpu", (2,)))
    dcp.save({"model": net.state_dict()}, checkpoint_id=folder)
    if rank == 0:
        torch.save(whole, folder + ".pt")
    dist.barrier()
    os._exit(0)  # its threads do not always end in peace

if __name__ == "__main__":
    mp.spawn(run, (sys.argv[1],), nprocs=2)
"""


def save(state: dict[str, Any], folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that there is no process group
        dcp.save(state, checkpoint_id=folder)
    return folder


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dcp")
    script = folder / "save.py"
    script.write_text(TWO_PROCESSES)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, folder / "sharded"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder / "sharded"


def test_a_sharded_tensor_is_one(sharded: Path) -> None:
    net = weigh.open(sharded)
    want = torch.load(f"{sharded}.pt")
    assert (net.format, [t.name for t in net.tensors()]) == ("dcp", list(want))
    assert len(list(sharded.glob("*.distcp"))) == 2
    for name, tensor in want.items():
        np.testing.assert_array_equal(net[name].read(), tensor.numpy(), strict=True)
    weight = want["0.weight"].numpy()
    for index in [(3,), (slice(2, 6, 2), slice(1, 4)), (slice(3, 5), -1), (6, 0)]:
        np.testing.assert_array_equal(net["0.weight"][index].read(), weight[index])


def test_the_network_is_told_from_its_optimizer(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    state = {"model": net.state_dict(), "optim": optimizer.state_dict(), "epoch": 3}
    opened = weigh.open(save(state, tmp_path / "a"))
    assert [t.name for t in opened.tensors() if t.role in ("parameter", "buffer")] == list(
        net.state_dict()
    )
    assert opened.counts.parameters == sum(p.numel() for p in net.parameters())
    assert {t.role for t in opened.tensors() if t.name.startswith("optim")} == {"optimizer"}
    assert opened.metadata == {"epoch": "3"}
    assert "13 entries that are no tensors are not shown." in opened.notes
    np.testing.assert_array_equal(opened["1.running_var"].read(), net[1].running_var.numpy())


def test_what_lies_beside_or_is_cut_is_named(tmp_path: Path) -> None:
    folder = save({"model": {"w": torch.ones(2000)}, "epoch": 3}, tmp_path / "a")
    torch.save({"v": torch.ones(2)}, folder / "model.bin")
    notes = weigh.open(folder).notes
    assert "1 entry that is no tensor is not shown." in notes
    assert "Read from .metadata; not from model.bin, which is there too." in notes
    [part] = folder.glob("*.distcp")
    for one in (part, folder / ".metadata"):
        with pytest.raises(SourceError, match=r"one of several files .* Name the folder"):
            weigh.open(one)
    os.truncate(part, 100)
    with pytest.raises(FormatError) as caught:
        weigh.open(folder)
    assert str(caught.value).startswith(f"{part}: a part of the file reaches past its end")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.int8, torch.bool])
def test_other_types(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = (torch.arange(6).reshape(2, 3) - 2).to(dtype)
    found = weigh.open(save({"w": tensor}, tmp_path / "a"))["w"]
    np.testing.assert_array_equal(found.read(), tensor.float().numpy())


def test_nothing_is_opened_that_is_not_asked_for(sharded: Path) -> None:
    net = weigh.open(sharded)
    for file in sharded.glob("__1_*.distcp"):
        data = bytearray(file.read_bytes())
        data[:] = bytes(len(data))
        (file.parent / "kept").write_bytes(file.read_bytes())
        try:
            file.write_bytes(data)
            assert net["0.weight"][0].read().shape == (5,)
            with pytest.raises(SourceError, match=r"__1_0\.distcp"):
                net["0.weight"][6].read()
        finally:
            file.write_bytes((file.parent / "kept").read_bytes())
            (file.parent / "kept").unlink()


def metadata(folder: Path) -> Metadata:
    made: Metadata = pickle.loads((folder / ".metadata").read_bytes())
    return made


def spoiled(folder: Path, change: Callable[[Metadata], None]) -> str:
    """Save a checkpoint whose metadata is changed, and give the line that refuses it."""
    save({"w": torch.arange(12.0).reshape(3, 4)}, folder)
    made = metadata(folder)
    change(made)
    (folder / ".metadata").write_bytes(pickle.dumps(made))
    with pytest.raises((SourceError, ValuesError)) as caught:
        weigh.open(folder)["w"].read()
    assert str(caught.value).isprintable()
    return str(caught.value)


def chunks(*boxes: tuple[tuple[int, ...], tuple[int, ...]]) -> Callable[[Metadata], None]:
    def change(made: Metadata) -> None:
        stated = made.state_dict_metadata["w"]
        assert isinstance(stated, TensorStorageMetadata)
        [place] = made.storage_data.values()
        stated.chunks = [ChunkStorageMetadata(torch.Size(a), torch.Size(b)) for a, b in boxes]
        made.storage_data = {MetadataIndex("w", torch.Size(a)): place for a, _ in boxes}

    return change


def place(**changes: Any) -> Callable[[Metadata], None]:
    def change(made: Metadata) -> None:
        made.storage_data = {k: replace(v, **changes) for k, v in made.storage_data.items()}

    return change


def shape(*sizes: int) -> Callable[[Metadata], None]:
    def change(made: Metadata) -> None:
        stated = made.state_dict_metadata["w"]
        assert isinstance(stated, TensorStorageMetadata)
        stated.size = torch.Size(sizes)

    return change


def unlisted(made: Metadata) -> None:
    made.storage_data = {}


HOSTILE: dict[str, tuple[Callable[[Metadata], None], str]] = {
    "hole": (chunks(((0, 0), (2, 4))), "the pieces of a tensor do not fill it; saw 8 values"),
    "overlap": (chunks(((0, 0), (2, 4)), ((1, 0), (1, 4))), "two pieces of a tensor overlap"),
    "outside": (chunks(((1, 0), (3, 4))), "reaches outside of it"),
    "negative": (chunks(((-1, 0), (3, 4))), "reaches outside of it"),
    "axes": (chunks(((0,), (12,))), "has not as many axes as the tensor"),
    "another slice": (
        chunks(((0, 0), (1, 4)), ((1, 0), (2, 4))),
        "is not what the checkpoint says",
    ),
    "overflow": (shape(2**40, 2**40), "more values than 64 bits can count"),
    "huge": (shape(2**30, 4), "the pieces of a tensor do not fill it"),
    "past the end": (place(offset=2**40), "a part of the file reaches past its end"),
    "negative place": (place(offset=-5), "a part of the file reaches past its end"),
    "short": (place(length=4), "is larger than its place in the file"),
    "elsewhere": (place(relative_path="../secret"), "leads out of its folder"),
    "absolute": (place(relative_path="/etc/passwd"), "leads out of its folder"),
    "missing": (place(relative_path="__9_9.distcp"), "there is no such file"),
    "compressed": (place(transform_descriptors=["zstd"]), "compressed when they were written"),
    "unlisted": (unlisted, "a slice of tensor 'w' lies nowhere"),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_metadata_that_lies_is_one_line(
    tmp_path: Path, change: Callable[[Metadata], None], message: str
) -> None:
    assert message in spoiled(tmp_path / "a", change)


def test_the_metadata_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "ran"),))

    folder = save({"w": torch.ones(2)}, tmp_path / "a")
    made = metadata(folder)
    made.storage_meta = Evil()  # type: ignore[assignment]
    (folder / ".metadata").write_bytes(pickle.dumps(made))
    assert weigh.open(folder)["w"].read().tolist() == [1, 1]
    assert not (tmp_path / "ran").exists()


def test_what_is_no_metadata(tmp_path: Path) -> None:
    for data, message in [
        (pickle.dumps({"a": 1}), "not that of a distributed checkpoint"),
        (b"", "ends early"),
        (b"nothing", "the pickle"),
    ]:
        (tmp_path / ".metadata").write_bytes(data)
        with pytest.raises(SourceError, match=message):
            weigh.open(tmp_path)


@given(st.data())
def test_pieces_make_the_whole(data: st.DataObject) -> None:
    """Any cutting of any array along both axes, read by any region."""
    from weigh._dtypes import DTYPES
    from weigh._sources.arrays import read as read_arrays
    from weigh._sources.pieces import Piece, PieceValues

    sizes = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    array = np.arange(sizes[0] * sizes[1], dtype="f4").reshape(sizes)
    cuts = [sorted({0, n, *data.draw(st.lists(st.integers(0, n), max_size=3))}) for n in sizes]
    pieces = []
    for a, b in zip(cuts[0], cuts[0][1:], strict=False):
        for c, d in zip(cuts[1], cuts[1][1:], strict=False):
            values = read_arrays({"w": array[a:b, c:d].copy()}).tensors[0].values
            pieces.append(Piece((a, c), (b - a, d - c), lambda values=values: values))
    made = PieceValues(DTYPES["float32"], sizes, pieces, "w")
    index = tuple(
        data.draw(st.one_of(st.integers(0, n - 1), st.slices(n).filter(_forward))) for n in sizes
    )
    np.testing.assert_array_equal(made.read(Region.of(index, sizes)), array[index])


def _forward(one: slice) -> bool:
    return one.step is None or one.step > 0
