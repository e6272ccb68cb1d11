"""NumPy's own files, held against NumPy."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import weigh
from weigh._errors import FormatError, SourceError, UnsupportedError, WeighError
from weigh._index import Region
from weigh._sources.bytes import MemoryBytes
from weigh._sources.npz import read, read_npy

TYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version)
    return out.getvalue()


def npz(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@given(
    hnp.arrays(
        st.sampled_from([np.dtype(order + one) for one in TYPES for order in "<>"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    ),
    st.sampled_from(["C", "F"]),
    st.booleans(),
)
def test_every_array_is_read_as_numpy_reads_it(array: np.ndarray, order: str, packed: bool) -> None:
    array = np.asarray(array, order=order)  # type: ignore[call-overload]
    out = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(out, a=array)
    for tensor in (
        read(MemoryBytes(out.getvalue())).tensors[0],
        read_npy(MemoryBytes(npy(array), "x/a.npy")).tensors[0],
    ):
        assert tensor.name == "a"
        assert tensor.values.shape == array.shape
        np.testing.assert_array_equal(tensor.values.read(Region.whole(array.shape)), array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_keeps_names_and_order(tmp_path: Path, save: object) -> None:
    state = {"fc2.weight": np.ones((2, 3)), "fc2.bias": np.ones(2), "fc1.weight": np.ones((3, 4))}
    save(tmp_path / "a.npz", **state)  # type: ignore[operator]
    net = weigh.open(tmp_path / "a.npz")
    assert [t.name for t in net.tensors()] == list(state)
    assert (net.format, net.fc2.kind) == ("npz", "Linear")


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
def test_a_header_of_python_2(tmp_path: Path) -> None:
    old = npy(np.arange(6, dtype="<f4").reshape(3, 2))
    old = old.replace(b"(3, 2), }  ", b"(3L, 2L), }")
    (tmp_path / "a.npy").write_bytes(old)
    np.testing.assert_array_equal(weigh.open(tmp_path / "a.npy")["a"], np.load(io.BytesIO(old)))
    for odd in (b"(3L3, 2), } ", b"(L, 2), }   ", b"(3LL, 2), } ", b"(3 L, 2), } "):
        (tmp_path / "a.npy").write_bytes(old.replace(b"(3L, 2L), } ", odd))
        with pytest.raises(FormatError):
            weigh.open(tmp_path / "a.npy")


def test_one_array_that_is_not_read_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(["text"]))
    with pytest.raises(UnsupportedError, match="an array of what is not read; saw dtype 'U4'"):
        weigh.open(tmp_path / "a.npy")


def test_versions_two_and_three(tmp_path: Path) -> None:
    for version in ((1, 0), (2, 0), (3, 0)):
        (tmp_path / "a.npy").write_bytes(npy(np.arange(3), version))
        assert weigh.open(tmp_path / "a.npy")["a"].read().tolist() == [0, 1, 2]


def test_what_is_no_number_is_left_out_and_never_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path(tmp_path / "ran").touch, ())

    objects = np.array([Evil()], dtype=object)
    records = np.zeros(2, dtype=[("x", "f4")])
    state = {"w": np.ones(2), "o": objects, "t": np.array(["text"]), "r": records}
    np.savez(tmp_path / "a.npz", **state)  # type: ignore[arg-type]
    net = weigh.open(tmp_path / "a.npz")
    for tensor in net.tensors():
        tensor.read()
    assert [t.name for t in net.tensors()] == ["w"]
    assert net.notes == ("Left out: 'o' (dtype 'O'), 't' (dtype 'U4'), 'r' (an array of records).",)
    assert net.accounts is not None
    assert net.accounts.unreachable > 0
    assert not (tmp_path / "ran").exists()
    (tmp_path / "o.npy").write_bytes(npy(np.zeros(2, dtype="U3")))
    with pytest.raises(SourceError, match="dtype 'U3'"):
        weigh.open(tmp_path / "o.npy")


def header(text: str, body: bytes = b"") -> bytes:
    data = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data + body


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",  # no values follow
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
        "{'descr': '<f4', 'shape': (3,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (0,)}",
        "{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), 'more': 1}",
        "(" * 100,
        "",
    ],
)
def test_a_header_that_breaks_the_rules_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        read_npy(MemoryBytes(header(text)))


def test_an_array_cut_short_or_too_long_is_refused() -> None:
    data = npy(np.arange(5))
    for wrong in (data[:-1], data + b"\0"):
        with pytest.raises(FormatError, match="has not the size that its shape makes"):
            read_npy(MemoryBytes(wrong))
    with pytest.raises(FormatError, match="'a': the array has not the size"):
        read(MemoryBytes(npz({"a.npy": data[:-1]})))


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    for content in (data, header("") + data, npz({"a.npy": data}, zipfile.ZIP_DEFLATED)):
        with pytest.raises(WeighError):
            (read_npy if content[:2] != b"PK" else read)(MemoryBytes(content))


def test_broken_packed_bytes_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.arange(100_000))
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"packed member of the archive (is broken|ends early)"):
        weigh.open(path)["a"].read()


def test_an_unknown_way_of_packing_is_one_line(tmp_path: Path) -> None:
    data = npz({"a.npy": npy(np.arange(5))}, zipfile.ZIP_BZIP2)
    with pytest.raises(FormatError, match="packed in a way that is not read; saw method 12"):
        read(MemoryBytes(data))


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """A gigabyte of zeros, packed into a megabyte: listed, and read slice by slice."""
    path = tmp_path / "bomb.npz"
    shape = (1 << 15, 1 << 13)
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        member.write(header(text))
        for _ in range(1 << 6):
            member.write(bytes(1 << 24))
    program = (
        "import weigh\n"
        f"net = weigh.open({str(path)!r})\n"
        "print(net['a'][32000, :3].read().tolist())\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31)),
    )
    values, peak = done.stdout.split("\n")[:2]
    assert values == "[0.0, 0.0, 0.0]"
    assert int(peak) < 150_000


REAL = io.BytesIO()
np.savez(REAL, a=np.arange(6, dtype="f4").reshape(2, 3), b=np.arange(3) > 1)
FLIPS = st.lists(st.integers(0, len(REAL.getvalue()) * 8 - 1), min_size=1, max_size=3)


def read_whole(data: bytes) -> bool:
    """Whether a file is taken and all its values can be read."""
    try:
        for tensor in read(MemoryBytes(data)).tensors:
            tensor.values.read(Region.whole(tensor.values.shape or ()))
    except WeighError as error:
        assert str(error).isprintable()  # noqa: PT017
        return False
    return True


def test_cut_anywhere_it_is_refused() -> None:
    data = REAL.getvalue()
    assert read_whole(data)
    assert not any(read_whole(data[:length]) for length in range(len(data)))


@settings(max_examples=1000)
@given(FLIPS)
def test_no_flipped_bits_crash_the_reader(bits: list[int]) -> None:
    data = bytearray(REAL.getvalue())
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    read_whole(bytes(data))


def test_an_archive_of_countless_arrays_is_refused() -> None:
    one = npy(np.zeros(0))
    with pytest.raises(FormatError, match="the archive has over 65,536 members; saw 65,537"):
        read(MemoryBytes(npz({f"{i:x}.npy": one for i in range(65_537)})))
