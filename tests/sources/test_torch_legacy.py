from __future__ import annotations

import io
import pickle
import struct
import tarfile
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_torch_zip import agrees, by_name, tensors

from weigh._errors import FormatError, SourceError, UnsupportedError, WeighError
from weigh._facts import Facts
from weigh._sources import torch_legacy
from weigh._sources.bytes import MemoryBytes

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, on old sorts of tensor


def saved(thing: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def read(data: bytes) -> Facts:
    return torch_legacy.read(MemoryBytes(data))


@settings(max_examples=40)
@given(st.lists(tensors(), min_size=1, max_size=5))
def test_a_state_dict_is_what_torch_saved(made: list[torch.Tensor]) -> None:
    data = saved({f"layer{i}.weight": tensor for i, tensor in enumerate(made)})
    facts = read(data)
    # torch.load itself fails on legacy files of untyped storages (uint16, 8-bit floats).
    assert [one.name for one in facts.tensors] == [f"layer{i}.weight" for i in range(len(made))]
    for found, tensor in zip(facts.tensors, made, strict=True):
        agrees(found, tensor)
    assert (facts.format, facts.ordered, facts.accounts.total) == ("torch-legacy", True, len(data))


def test_ties_views_and_layers() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    state = network.state_dict()
    state["tied"] = state["0.weight"]
    state["row"] = state["0.weight"][1]
    facts = read(saved(state))
    found = by_name(facts)
    assert found["tied"].identity == found["0.weight"].identity != found["row"].identity
    agrees(found["row"], state["row"])
    assert [layer.path for layer in facts.layers] == ["", "0", "1"]


def test_a_view_of_a_storage_is_placed_within_it() -> None:
    """Storages that shared memory were once saved as views: (key, offset, size)."""

    class Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
        def persistent_id(self, thing: Any) -> Any:
            return thing[1:] if isinstance(thing, tuple) and thing[:1] == ("pid",) else None

    def file(view: tuple[str, int, int]) -> bytes:
        storage = ("pid", "storage", torch.FloatStorage, "7", "cpu", 6, view)
        buffer = io.BytesIO()
        Pickler(buffer, 2).dump({"w": Call(storage, 1, (2,), (1,), False, None)})
        head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        parts = [pickle.dumps(part, 2) for part in head]
        values = struct.pack("<q6f", 6, *range(6))
        return b"".join([*parts, buffer.getvalue(), pickle.dumps(["7"], 2), values])

    (found,) = read(file(("8", 2, 3))).tensors
    agrees(found, torch.tensor([3.0, 4.0]))
    for view in [("8", 2, 2), ("8", 5, 3), ("8", -1, 3)]:
        with pytest.raises(FormatError):
            read(file(view))


class Call:
    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, self.arguments


def test_pickles_longer_than_the_first_look_are_read() -> None:
    state = {f"a.rather.long.name.of.layer.{i}.weight": torch.ones(1) for i in range(3000)}
    data = saved(state)
    assert data.index(b"\x01\0\0\0\0\0\0\0\0\0\x80\x3f") > 1 << 18
    assert len(read(data).tensors) == 3000


def test_a_plain_pickle_is_refused_and_not_run(tmp_path: Any) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(SourceError, match="not one that PyTorch wrote") as caught:
        read(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    assert "os.system" in str(caught.value)
    assert not canary.exists()
    with pytest.raises(SourceError, match="keys 'a'"):
        read(pickle.dumps({"a": 1}))


def test_the_tar_format_is_told_apart() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("storages"))
    with pytest.raises(UnsupportedError, match="tar"):
        read(buffer.getvalue())


def test_a_file_cut_anywhere_or_with_more_is_refused() -> None:
    data = saved({"w": torch.ones(3)})
    for length in range(len(data)):
        with pytest.raises(WeighError):
            read(data[:length])
    with pytest.raises(FormatError, match="follows"):
        read(data + b"junk")


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(data: Any) -> None:
    damaged = bytearray(saved({"model": {"w": torch.ones(2, 3)}, "epoch": 1}))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        facts = read(bytes(damaged))
    except WeighError:
        return
    assert facts.tensors
