from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weigh._errors import FormatError, SourceError
from weigh._sources.bytes import SMALL, LocalFile


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(3 * SMALL))
    return path


def test_every_view_holds_the_files_bytes(big: Path) -> None:
    data = big.read_bytes()
    source = LocalFile(big)
    for offset, length in [(0, 8), (5, 0), (len(data), 0), (1, SMALL + 7), (0, len(data))]:
        view = source.view(offset, length)
        assert view.readonly
        assert bytes(view) == data[offset : offset + length]
    assert (source.size, source.name) == (len(data), str(big))


def test_a_large_view_is_not_copied(big: Path) -> None:
    source = LocalFile(big)
    assert source.view(0, 2 * SMALL).obj is source.view(SMALL, 2 * SMALL).obj


def test_an_empty_file_has_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    source = LocalFile(tmp_path / "empty")
    assert source.size == 0
    assert bytes(source.view(0, 0)) == b""
    with pytest.raises(FormatError, match="the file ends early; saw 0 bytes where 1 are needed"):
        source.view(0, 1)


@given(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70))
def test_no_range_outside_the_file_is_given(offset: int, length: int) -> None:
    source = LocalFile(__file__)
    if offset >= 0 and length >= 0 and offset + length <= source.size:
        assert len(source.view(offset, length)) == length
    else:
        with pytest.raises(FormatError):
            source.view(offset, length)


def test_a_file_that_became_shorter_is_an_error_and_no_crash(big: Path) -> None:
    source = LocalFile(big)
    source.view(0, 2 * SMALL)
    os.truncate(big, SMALL)
    for length in (16, 2 * SMALL):
        with pytest.raises(FormatError, match="the file ends early"):
            source.view(SMALL, length)


def test_a_view_outlives_the_close(big: Path) -> None:
    source = LocalFile(big)
    view = source.view(0, 2 * SMALL)
    source.close()
    source.close()
    assert bytes(view) == big.read_bytes()[: 2 * SMALL]
    with pytest.raises(SourceError, match="closed"):
        source.view(0, 1)


def test_the_same_file_has_one_identity_under_two_names(big: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(big)
    (tmp_path / "other").touch()
    assert LocalFile(big).identity == LocalFile(tmp_path / "link").identity
    assert LocalFile(big).identity != LocalFile(tmp_path / "other").identity


def test_a_missing_file_suggests_near_names(tmp_path: Path) -> None:
    (tmp_path / "trained.safetensors").touch()
    with pytest.raises(SourceError) as caught:
        LocalFile(tmp_path / "trianed.safetensors")
    assert str(caught.value) == "there is no such file. Did you mean 'trained.safetensors'?"
    for path in (tmp_path / "xyz", tmp_path / "no" / "file"):
        with pytest.raises(SourceError, match="there is no such file"):
            LocalFile(path)


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SourceError, match="not a"):
            LocalFile(path)
    for path in ("nul\0name", "x" * 5000, "", Path(__file__) / "below"):
        with pytest.raises(SourceError):
            LocalFile(path)


def test_the_file_is_let_go_with_its_source(big: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    before = descriptors()
    for _ in range(5):
        LocalFile(big).view(0, 2 * SMALL)
    assert descriptors() == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_listing_two_gigabytes_takes_little_memory_and_neither_numpy_nor_torch(
    tmp_path: Path,
) -> None:
    path, count = tmp_path / "sparse.safetensors", 500
    size = 2**22
    entries = ",".join(
        f'"layer.{i}":{{"dtype":"F32","shape":[1024,1024],"data_offsets":[{at},{at + size}]}}'
        for i, at in enumerate(range(0, count * size, size))
    )
    header = ("{" + entries + "}").encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + count * size)
    code = f"""
import sys
from pathlib import Path
def peak():  # unlike ru_maxrss, this does not begin at the parent's
    line = next(x for x in Path("/proc/self/status").read_text().split("\\n") if "VmHWM" in x)
    return line.split()[1]
from weigh._sources.bytes import LocalFile
from weigh._sources.safetensors import read
from weigh._index import Region
facts = read(LocalFile({str(path)!r}))
assert len(facts.tensors) == {count}
assert not {{"numpy", "torch", "safetensors"}} & set(sys.modules)
print(peak())
values = facts.tensors[-1].values
assert values.read(Region.of((1000, slice(8)), values.shape)).shape == (8,)
print(peak())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed, read = map(int, done.stdout.split())
    assert listed < 40_000  # KiB
    assert read < 80_000


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "net.pt").symlink_to("gone.pt")
    with pytest.raises(SourceError, match=r"a link to a file that is not there$"):
        LocalFile(tmp_path / "net.pt")


def test_an_open_file_is_copied_as_itself_and_not_pickled(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    file = LocalFile(path)
    assert copy.deepcopy(file) is file
    with pytest.raises(TypeError, match=r"open '.*file' again"):
        pickle.dumps(file)
