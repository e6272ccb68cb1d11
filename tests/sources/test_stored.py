from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from weigh._dtypes import DTYPES
from weigh._errors import FormatError, ValuesError
from weigh._index import Region
from weigh._sources.bytes import LocalFile, check_range
from weigh._sources.stored import Affine, StoredValues

F32 = DTYPES["float32"]


class Bytes:
    """A place of bytes that remembers what was asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.asked = data, list[tuple[int, int]]()
        self.name, self.size = "bytes", len(data)
        self.identity: Hashable = id(self)

    def view(self, offset: int, length: int) -> memoryview:
        check_range(offset, length, self.size)
        self.asked.append((offset, length))
        return memoryview(self.data)[offset : offset + length]

    def close(self) -> None:
        pass


def of(array: np.ndarray[Any, Any]) -> tuple[Bytes, StoredValues]:
    source = Bytes(b"\xff" * 3 + array.tobytes())
    return source, StoredValues(source, 3, DTYPES[array.dtype.name], array.shape)


SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int | slice, ...]:
    parts: list[int | slice] = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        if size and draw(st.booleans()):
            parts.append(draw(st.integers(-size, size - 1)))
        else:
            bound = st.none() | st.integers(-7, 7)
            parts.append(slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3))))
    return tuple(parts)


@given(st.data(), SHAPES, st.sampled_from(["float32", "int8", "complex128", "uint16"]))
def test_a_region_is_numpys_slice_in_one_request(data: Any, shape: Any, name: str) -> None:
    array = np.arange(np.prod(shape, dtype=int)).astype(name).reshape(shape)
    source, values = of(array)
    index = data.draw(indices(shape))
    ours = values.read(Region.of(index, shape))
    assert ours.shape == array[index].shape
    assert ours.dtype == array.dtype
    np.testing.assert_array_equal(ours, array[index])
    assert len(source.asked) <= 1


@given(st.data(), SHAPES, st.booleans())
def test_strided_storage_is_torchs_as_strided(data: Any, shape: Any, big: bool) -> None:
    strides = tuple(data.draw(st.integers(0, 6)) for _ in shape)
    start = data.draw(st.integers(0, 5))
    storage = np.arange(5 + 1 + 4 * 6 * 4, dtype=np.float32)
    theirs = torch.from_numpy(storage.copy()).as_strided(shape, strides, start)
    source = Bytes(storage.astype(">f4" if big else "<f4").tobytes())
    values = StoredValues(
        source, 0, F32, shape, strides=strides, storage_offset=start,
        storage_bytes=source.size, big_endian=big,
    )  # fmt: skip
    index = data.draw(indices(shape))
    np.testing.assert_array_equal(values.read(Region.of(index, shape)), theirs[index].numpy())
    touched = set(theirs.flatten().to(torch.int64).tolist())
    extent = values.extent
    assert extent.storage_bytes == source.size
    if touched:
        assert (extent.start, extent.stop) == (4 * min(touched), 4 * max(touched) + 4)
        assert extent.distinct >= len(touched)
    else:
        assert (extent.start, extent.distinct) == (extent.stop, 0)


@given(st.data(), st.sampled_from([n for n, d in DTYPES.items() if d.bits < 8]))
def test_packed_regions_are_slices_of_all(data: Any, name: str) -> None:
    shape = data.draw(st.lists(st.integers(1, 5), max_size=3).map(tuple))
    dtype, count = DTYPES[name], int(np.prod(shape, dtype=int))
    raw = np.random.default_rng(0).integers(0, 256, dtype.size_of(count), dtype=np.uint8)
    values = StoredValues(Bytes(raw.tobytes()), 0, dtype, shape)
    index = data.draw(indices(shape))
    whole = values.read(Region.whole(shape))
    assert whole.shape == shape
    np.testing.assert_array_equal(values.read(Region.of(index, shape)), whole[index])


def test_the_extent_counts_repeated_values_once() -> None:
    source = Bytes(bytes(400))
    values = StoredValues(
        source, 0, F32, (10, 20), strides=(0, 1), storage_offset=5, storage="s", storage_bytes=400
    )
    extent = values.extent
    assert (extent.storage, extent.start, extent.stop) == ("s", 20, 100)
    assert (extent.distinct, extent.storage_bytes) == (20, 400)


def test_only_the_rows_bytes_are_asked_for() -> None:
    array = np.arange(1000 * 64, dtype=np.float32).reshape(1000, 64)
    source, values = of(array)
    values.read(Region.of((123, slice(8)), array.shape))
    assert source.asked == [(3 + 123 * 64 * 4, 32)]


def test_a_huge_repetition_can_be_sliced_and_not_read_in_whole() -> None:
    shape = (2**20, 2**20)
    values = StoredValues(Bytes(bytes(16)), 0, F32, shape, strides=(0, 0), storage_bytes=16)
    assert values.read(Region.of((7, slice(3)), shape)).tolist() == [0.0] * 3
    assert values.extent.distinct == 1
    with pytest.raises(ValuesError) as caught:
        values.read(Region.whole(shape))
    assert str(caught.value) == (
        "this would repeat 4 stored values into 1,099,511,627,776. "
        "Take a smaller region, such as [0, :8]."
    )


def test_a_sparse_2_gb_file_gives_one_row(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.seek(123_456 * 4096 * 4)
        file.write(np.arange(8, dtype="<f4").tobytes())
        file.truncate(2**31)
    values = StoredValues(LocalFile(path), 0, F32, (131_072, 4096))
    assert values.read(Region.of((123_456, slice(8)), values.shape)).tolist() == list(range(8))


def test_a_scalar_and_an_empty_tensor_are_read() -> None:
    source, scalar = of(np.array(2.5, np.float32))
    assert scalar.read(Region.whole(())).shape == ()
    assert scalar.read(Region.whole(())).item() == 2.5
    empty = StoredValues(source, source.size, DTYPES["bfloat16"], (3, 0, 2**40))
    assert empty.read(Region.of((0,), empty.shape)).shape == (0, 2**40)
    assert empty.extent.distinct == 0


def test_the_array_is_new(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(2**20))
    values = StoredValues(LocalFile(tmp_path / "f"), 0, F32, (2**18,))
    first = values.read(Region.whole(values.shape))
    first[:] = 1
    assert not values.read(Region.whole(values.shape)).any()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"shape": (26,)}, "the end of the file"),
        ({"shape": (5,), "offset": 84}, "the end of the file"),
        ({"shape": (5,), "offset": -4}, "negative"),
        ({"shape": (-1,)}, "negative"),
        ({"shape": (-1, 0), "strides": (1,)}, "not one stride"),
        ({"shape": (2**40, 2**40)}, "more values than 64 bits"),
        ({"shape": (5, 5), "strides": (5, -1)}, "stride is negative"),
        ({"shape": (5, 5), "strides": (5,)}, "not one stride"),
        ({"shape": (5, 5), "strides": (6, 1), "storage_bytes": 100}, "end of its storage"),
        ({"shape": (5,), "storage_offset": 21, "storage_bytes": 100}, "end of its storage"),
        ({"shape": (5,), "storage_offset": -1, "storage_bytes": 100}, "negative"),
        ({"shape": (5,), "storage_bytes": 104}, "the end of the file"),
        ({"shape": (2, 2), "strides": (2**80, 1), "storage_bytes": 100}, "end of its storage"),
    ],
)
def test_what_does_not_fit_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        StoredValues(Bytes(bytes(100)), keywords.pop("offset", 0), F32, **keywords)


def test_more_axes_than_numpy_has_are_an_error() -> None:
    values = StoredValues(Bytes(bytes(4)), 0, F32, (1,) * 100)
    with pytest.raises(ValuesError):
        values.read(Region.whole(values.shape))
    assert values.read(Region.of((0,) * 100, values.shape)).shape == ()


@pytest.mark.filterwarnings("ignore:torch.quantize_per")
@pytest.mark.parametrize("axis", [None, 0, 1])
@given(data=st.data())
def test_quantized_values_are_torchs(axis: int | None, data: st.DataObject) -> None:
    torch.manual_seed(0)
    real = torch.randn(4, 5)
    if axis is None:
        theirs = torch.quantize_per_tensor(real, 0.1, 3, torch.qint8)
        affine = Affine((0.1,), (3,))
    else:
        scales, zeros = torch.rand(real.shape[axis]) + 0.1, torch.arange(real.shape[axis])
        theirs = torch.quantize_per_channel(real, scales, zeros, axis, torch.qint8)
        affine = Affine(tuple(scales.tolist()), tuple(zeros.tolist()), axis)
    source = Bytes(theirs.int_repr().numpy().tobytes())
    index = data.draw(indices((4, 5)))
    expected = theirs.dequantize()[index].numpy()
    assume(expected.size)
    values = StoredValues(source, 0, DTYPES["qint8"], (4, 5), affine=affine)
    ours = values.read(Region.of(index, (4, 5)))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)
