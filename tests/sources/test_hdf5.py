"""HDF5 files of arrays, and those that are made to lead out of the file or to use it up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import weigh

SECRET = b"a secret that lies beside the file, in another one....."


def make(path: Path) -> h5py.File:
    return h5py.File(path, "w")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (2, 3)},
        {"chunks": (2, 3), "compression": "gzip"},
        {"chunks": (2, 3), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (2, 3), "shuffle": True, "maxshape": (None, 7)},
    ],
)
@pytest.mark.parametrize(
    "code", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", ">i2", "<u4", ">u8", "?"]
)
def test_every_type_and_way_of_storing(tmp_path: Path, code: str, options: dict) -> None:
    array = np.random.default_rng(0).integers(0, 2, (5, 7)).astype(code)
    with make(tmp_path / "a.h5") as file:
        file.create_dataset("a/b", data=array, **options)
    tensor = weigh.open(tmp_path / "a.h5")["a.b"]
    np.testing.assert_array_equal(tensor.read(), array)
    np.testing.assert_array_equal(tensor[1:5:2, ::3].read(), array[1:5:2, ::3])
    np.testing.assert_array_equal(tensor[3].read(), array[3])
    assert tensor.dtype.name == array.dtype.name


def test_a_group_that_holds_itself_is_listed_once(tmp_path: Path) -> None:
    with make(tmp_path / "a.h5") as file:
        file["g/x"] = np.ones(3)
        file["g/again"] = file["g"]
        file["g/root"] = file["/"]
    net = weigh.open(tmp_path / "a.h5")
    assert [t.name for t in net.tensors()] == ["g.x"]
    assert "listed already" in net.notes[0]


def test_two_names_of_one_dataset_are_tied(tmp_path: Path) -> None:
    with make(tmp_path / "a.h5") as file:
        file["a"] = np.ones(3)
        file["b"] = file["a"]
    net = weigh.open(tmp_path / "a.h5")
    assert net["b"].tied_to == "a"
    assert net.counts.parameters == 3 or net.counts.tensors == 2


def most_memory(line: str) -> int:
    """Run a line in a process of its own; give the most bytes of memory that it took."""
    program = (
        f"import weigh\n{line}\n"
        # Unlike ru_maxrss this does not begin at the parent's.
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024


def external_storage(file: h5py.File, folder: Path) -> None:
    file.create_dataset("x", (4,), "f4", external=[(str(folder / "secret"), 0, 16)])


def virtual(file: h5py.File, folder: Path) -> None:
    with make(folder / "other.h5") as other:
        other["d"] = np.ones(4, "f4")
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "d", (4,))
    file.create_virtual_dataset("x", layout)


def external_link(file: h5py.File, folder: Path) -> None:
    with make(folder / "other.h5") as other:
        other["d"] = np.ones(4, "f4")
    file["x"] = h5py.ExternalLink(str(folder / "other.h5"), "d")


def soft_link(file: h5py.File, folder: Path) -> None:
    file["x"] = h5py.SoftLink("/own")


def texts(file: h5py.File, folder: Path) -> None:
    file["x"] = ["a", "b"]


def records(file: h5py.File, folder: Path) -> None:
    file["x"] = np.zeros(3, [("a", "f4"), ("b", "i2")])


def references(file: h5py.File, folder: Path) -> None:
    file.create_dataset("x", data=[file.ref], dtype=h5py.ref_dtype)


def ragged(file: h5py.File, folder: Path) -> None:
    file.create_dataset("x", (2,), h5py.vlen_dtype("f4"))


def unknown_filter(file: h5py.File, folder: Path) -> None:
    file.create_dataset("x", data=np.arange(64), chunks=(8,), scaleoffset=4)


def lzf(file: h5py.File, folder: Path) -> None:
    file.create_dataset("x", data=np.arange(64), chunks=(8,), compression="lzf")


def no_values(file: h5py.File, folder: Path) -> None:
    file["x"] = h5py.Empty("f4")


@pytest.mark.parametrize(
    "spoil",
    [external_storage, virtual, external_link, soft_link, texts, records, references, ragged,
     unknown_filter, no_values],
)  # fmt: skip
def test_what_leads_elsewhere_or_is_no_number_is_left_out(tmp_path: Path, spoil) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    with make(tmp_path / "a.h5") as file:
        file["own"] = np.ones(2, "f4")
        spoil(file, tmp_path)
    (tmp_path / "other.h5").unlink(missing_ok=True)  # it must not be asked for
    net = weigh.open(tmp_path / "a.h5")
    assert [t.name for t in net.tensors()] == ["own"]
    assert net.notes[0].startswith("Left out: 'x' (")


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    """The system itself is asked which files libhdf5 opened."""
    if not Path("/usr/bin/strace").exists():
        pytest.skip("needs strace")
    with make(tmp_path / "a.h5") as file:
        file["own"] = np.ones(2, "f4")
        virtual(file, tmp_path)
    program = f"import weigh; weigh.open({str(tmp_path / 'a.h5')!r})"
    command = ["strace", "-f", "-e", "trace=openat", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "a.h5" in done.stderr
    assert "other.h5" not in done.stderr


def test_a_giant_that_stores_nothing_is_read_in_slices_alone(tmp_path: Path) -> None:
    with make(tmp_path / "a.h5") as file:
        file.create_dataset("x", (1 << 20, 1 << 20), "f4", chunks=(64, 64))
        file.create_dataset("y", (1 << 20, 1 << 20), "f4")
    net = weigh.open(tmp_path / "a.h5")
    for name in "xy":
        assert net[name][5, :3].read().tolist() == [0, 0, 0]
        with pytest.raises(weigh.ValuesError):
            net[name].read()


def test_chunks_that_were_never_written_are_filled(tmp_path: Path) -> None:
    with make(tmp_path / "a.h5") as file:
        made = file.create_dataset("x", (9, 5), ">f4", chunks=(4, 2), fillvalue=7)
        made[3:5, 1:4] = 2
        expected = made[()]
    tensor = weigh.open(tmp_path / "a.h5")["x"]
    np.testing.assert_array_equal(tensor.read(), expected)
    np.testing.assert_array_equal(tensor[1::3, ::2].read(), expected[1::3, ::2])


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_values_in_a_header(tmp_path: Path, libver: str) -> None:
    array = np.arange(12, dtype=">f4").reshape(3, 4)
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_layout(h5py.h5d.COMPACT)
        kind, space = h5py.h5t.IEEE_F32BE, h5py.h5s.create_simple(array.shape)
        h5py.h5d.create(file.id, b"x", kind, space, made).write(
            h5py.h5s.ALL, h5py.h5s.ALL, array.astype("f4")
        )
        file.create_dataset("empty", (2, 3), "i2", fillvalue=9)
    net = weigh.open(tmp_path / "a.h5")
    np.testing.assert_array_equal(net["x"].read(), array)
    np.testing.assert_array_equal(net["x"][1, ::2].read(), array[1, ::2])
    assert net["empty"].read().tolist() == [[9] * 3] * 2


def deflated(path: Path, inner: bytes) -> None:
    """Write a chunk whose deflated bytes are longer when unpacked than the chunk."""
    with make(path) as file:
        made = file.create_dataset("x", (16,), "f4", chunks=(16,), compression="gzip")
        made.id.write_direct_chunk((0,), inner)


def test_a_chunk_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    import zlib

    deflated(tmp_path / "a.h5", zlib.compress(bytes(1 << 29)))
    with pytest.raises(weigh.FormatError, match="unpacks to more"):
        weigh.open(tmp_path / "a.h5")["x"].read()
    lines = f"""
try: weigh.open({str(tmp_path / "a.h5")!r})["x"].read()
except weigh.WeighError: pass"""
    assert most_memory(lines) < 300_000_000


def test_many_texts_of_one_long_piece_are_not_read(tmp_path: Path) -> None:
    """A list of texts may name one piece of the file very often."""
    with make(tmp_path / "a.h5") as file:
        file["w"] = np.ones(3)
        file.attrs["layer_names"] = ["x" * 200_000] * 3
    net = weigh.open(tmp_path / "a.h5")
    assert [t.name for t in net.tensors()] == ["w"]


def test_a_heap_that_never_ends_is_read_by_ourselves(tmp_path: Path) -> None:
    """libhdf5 2.0 goes round in it for ever."""
    with make(tmp_path / "a.h5") as file:
        file["w"] = np.ones(3)
        file.attrs["layer_names"] = ["w"]
    data = bytearray((tmp_path / "a.h5").read_bytes())
    heap = data.index(b"GCOL")
    free = heap + 16 + 16 + 8  # after the header, and one text with its own
    assert data[free : free + 2] == b"\0\0"
    data[free + 8 : free + 16] = bytes(8)
    (tmp_path / "a.h5").write_bytes(data)
    assert [t.name for t in weigh.open(tmp_path / "a.h5").tensors()] == ["w"]


def test_a_text_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    """libhdf5 2.0 allocates what is claimed."""
    with make(tmp_path / "a.h5") as file:
        file["w"] = np.ones(3)
        file.attrs["layer_names"] = ["w"]
    data = bytearray((tmp_path / "a.h5").read_bytes())
    reference = data.index(data.index(b"GCOL").to_bytes(8, "little"))
    assert data[reference - 4 : reference] == b"\1\0\0\0"
    data[reference - 1] = 0x7F
    (tmp_path / "a.h5").write_bytes(data)
    assert [t.name for t in weigh.open(tmp_path / "a.h5").tensors()] == ["w"]
    assert most_memory(f"weigh.open({str(tmp_path / 'a.h5')!r})") < 300_000_000


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
def test_texts_are_found_whatever_the_version(tmp_path: Path, libver: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        for number in range(6):
            file.attrs[f"other_{number}"] = "x" * 100 * number
        names = [f"layer_{number}" for number in (3, 1, 2)]
        file.attrs["layer_names"] = names
        for name in names:
            file[f"{name}/{name}/kernel:0"] = np.ones((2, 3), "f4")
    net = weigh.open(tmp_path / "a.h5")
    assert [t.name for t in net.tensors()] == [f"{name}.kernel" for name in names]


@pytest.mark.skipif(sys.platform == "win32", reason="crashes are told by signals")
def test_spoiled_files_do_not_crash_libhdf5(tmp_path: Path) -> None:
    """A process of its own opens 1,500 spoiled files: libhdf5 is C, and may be wrong."""
    with make(tmp_path / "a.h5") as file:
        file.attrs["layer_names"] = ["fc"]
        group = file.create_group("fc")
        group.attrs["weight_names"] = ["fc/kernel:0", "fc/bias:0"]
        group["fc/kernel:0"] = np.ones((3, 4), "f4")
        options = {"chunks": (8,), "compression": "gzip", "shuffle": True}
        group.create_dataset("fc/bias:0", data=np.arange(64.0), **options)
    program = f"""
import random, weigh, sys, os
from weigh._sources.bytes import MemoryBytes
from weigh._sources.hdf5 import read
from weigh._kinds.interpret import interpret
data = open({str(tmp_path / "a.h5")!r}, "rb").read()
chance = random.Random(int(os.environ.get("WEIGH_SEED", "5")))
for number in range(int(os.environ.get("WEIGH_FUZZ", "1500"))):
    spoiled = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        spoiled[chance.randrange(len(data))] = chance.choice((0, 1, 255, chance.randrange(256)))
    try:
        for tensor in interpret(read(MemoryBytes(bytes(spoiled)))).tensors():
            if (tensor.count or 0) < 1 << 20:
                tensor.read()
    except weigh.WeighError:
        pass
"""
    env = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_missing_library_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make(tmp_path / "a.h5") as file:
        file["w"] = np.ones(3)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(weigh.UnsupportedError, match=r"pip install 'weigh\[keras\]'"):
        weigh.open(tmp_path / "a.h5")
