from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from weigh._errors import SourceError, UnsupportedError, ValuesError
from weigh._facts import Extent, FoundTensor
from weigh._index import Region
from weigh._opening import facts_of
from weigh._sources.arrays import read


def only(array: object) -> FoundTensor:
    (found,) = read({"w": array}).tensors
    return found


def extent_of(found: FoundTensor) -> Extent:
    assert found.values.extent is not None
    return found.values.extent


def whole(found: FoundTensor) -> np.ndarray[Any, Any]:
    assert found.values.shape is not None
    return found.values.read(Region.whole(found.values.shape))


KINDS = ["?", "i1", "i2", "<i4", ">i4", "i8", "u1", ">u2", "u4", "u8"]
KINDS += ["f2", "<f4", ">f4", "f8", "c8", ">c16"]


@given(
    st.sampled_from(KINDS).flatmap(
        lambda kind: hnp.arrays(np.dtype(kind), hnp.array_shapes(min_dims=0, min_side=0))
    )
)
def test_any_numeric_array_is_read_as_it_is(array: np.ndarray[Any, Any]) -> None:
    before = array.copy()
    found = only(array)
    assert found.values.dtype.name == array.dtype.name
    assert found.values.shape == array.shape
    ours = whole(found)
    assert ours.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(ours, array)
    assert not np.shares_memory(ours, array)
    ours[...] = 1
    np.testing.assert_array_equal(array, before)


@given(st.data())
def test_a_region_of_any_view_is_numpys_slice(data: st.DataObject) -> None:
    base = np.arange(120.0).reshape(4, 5, 6)
    view = base[data.draw(hnp.basic_indices(base.shape, allow_newaxis=True))]
    view = np.asarray(view).T
    found = only(view)
    assert found.values.shape == view.shape
    np.testing.assert_array_equal(whole(found), view)
    extent = extent_of(found)
    assert extent.distinct == view.size
    if np.shares_memory(view, base):
        assert (extent.start, extent.stop) == (8 * int(view.min()), 8 * int(view.max()) + 8)
        assert extent.storage_bytes == base.nbytes


def test_nested_mappings_are_flattened_in_their_order() -> None:
    one = np.zeros(1)
    facts = read({"body": {"conv": {"weight": one}, "b": one + 1}, 7: [one + 2, {"x": one + 3}]})
    names = [found.name for found in facts.tensors]
    assert names == ["body.conv.weight", "body.b", "7.0", "7.1.x"]
    assert [whole(found).item() for found in facts.tensors] == [0, 1, 2, 3]
    assert facts.ordered
    assert facts.location == "mapping"


def test_what_is_no_array_is_left_out_with_a_note() -> None:
    facts = read({"w": np.zeros(1), "epoch": 3, "meta": {"who": "me"}, "f": [1.5]}, location="m")
    assert [found.name for found in facts.tensors] == ["w"]
    assert facts.notes == (
        "left out, being no array: 'epoch' (int), 'meta.who' (str), 'f.0' (float)",
    )


def test_numbers_of_numpy_are_no_arrays(tmp_path: Path) -> None:
    held = {"w": torch.ones(2), "loss": np.float64(0.5), "seen": [np.int64(3)]}
    torch.save(held, tmp_path / "held.pt")
    for facts in (read(held), facts_of(str(tmp_path / "held.pt"))):
        assert [found.name for found in facts.tensors] == ["w"]
    assert "'loss' (float64)" in read(held).notes[0]


def test_one_array_under_two_names_is_tied_and_an_equal_one_is_not() -> None:
    array, weight = np.zeros((2, 3)), torch.nn.Parameter(torch.zeros(2, 3))
    found = {
        t.name: t
        for t in read(
            {
                "a": array, "b": array, "view": array[:], "part": array[1:], "copy": array.copy(),
                "p": weight, "q": weight, "r": weight.detach(), "s": weight.detach().clone(),
                "t": weight.detach().t(), "x": np.zeros(0), "y": np.zeros(0),
            }
        ).tensors
    }  # fmt: skip
    same = found["a"].identity
    assert found["b"].identity == found["view"].identity == same
    assert same not in (found["part"].identity, found["copy"].identity)
    assert extent_of(found["part"]).storage == extent_of(found["a"]).storage
    assert (extent_of(found["part"]).start, extent_of(found["part"]).stop) == (24, 48)
    assert extent_of(found["copy"]).storage != extent_of(found["a"]).storage
    assert found["p"].identity == found["q"].identity == found["r"].identity
    assert found["p"].identity not in (found["s"].identity, found["t"].identity)
    assert found["x"].identity != found["y"].identity


def test_arrays_on_one_buffer_share_their_storage() -> None:
    buffer = bytearray(64)
    found = read(
        {"a": np.frombuffer(buffer, np.float32), "b": np.frombuffer(buffer, np.int8, 8, 16)}
    ).tensors
    assert extent_of(found[0]).storage == extent_of(found[1]).storage
    assert (extent_of(found[1]).start, extent_of(found[1]).stop) == (16, 24)
    assert extent_of(found[1]).storage_bytes == 64


def test_torch_tensors_state_what_torch_states() -> None:
    facts = read(
        {
            "p": torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16)),
            "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
            "t": torch.ones(2, requires_grad=True),
        }
    )
    assert [(t.role, t.learnable) for t in facts.tensors] == [
        ("parameter", True),
        ("parameter", False),
        (None, None),
    ]
    assert facts.tensors[0].values.dtype.name == "bfloat16"
    assert whole(facts.tensors[0]).tolist() == [1, 1]


class Other:
    """An array of another library, which counts how often it is converted."""

    def __init__(self, values: list[float], dtype: object = "float32") -> None:
        self._values, self.dtype, self.shape, self.converted = values, dtype, (len(values),), 0

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray[Any, Any]:
        self.converted += 1
        return np.array(self._values, np.float32)


class Dlpack:
    """An array that gives nothing but DLPack."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array

    def __dlpack__(self, **keywords: Any) -> object:
        return self._array.__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


def test_other_libraries_arrays_are_converted_when_read() -> None:
    other = Other([1, 2, 3])
    found = only(other)
    assert (found.values.dtype.name, found.values.shape, other.converted) == ("float32", (3,), 0)
    assert found.values.read(Region.of((1,), (3,))).item() == 2
    assert other.converted == 1
    assert only(Other([1.0], "lib.float32")).values.dtype.name == "float32"
    assert whole(only(Dlpack(np.arange(3.0)))).tolist() == [0, 1, 2]
    assert whole(only(np.array(2.5))).item() == 2.5


def test_an_array_that_breaks_is_an_error_that_names_it() -> None:
    class Broken:
        def __array__(self) -> None:
            raise RuntimeError("no")

    with pytest.raises(ValuesError) as caught:
        read({"w": Broken()})
    assert str(caught.value) == "entry 'w': it cannot be turned into a NumPy array; saw no"


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]),
        np.array([None]),
        np.zeros(2, [("x", "f4")]),
        np.zeros(2, "M8[s]"),
        np.zeros(2, "S3"),
        np.zeros(2, "V3"),
        np.array(["a"], getattr(np.dtypes, "StringDType", lambda: "U1")()),
        np.zeros(2, np.longdouble),
        torch.zeros(2, dtype=torch.uint8).view(torch.bits8),
        Other([1], "float8_e3m4"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_an_array_of_no_numbers_is_left_out_or_refused_if_it_is_all(array: Any) -> None:
    facts = read({"ok": np.zeros(1), "a": {"w": array}})
    assert [found.name for found in facts.tensors] == ["ok"]
    [note] = facts.notes
    assert note.startswith("left out, being of a sort that is not read: 'a.w' (")
    with pytest.raises(UnsupportedError, match=r"^entry 'a.w': a.* dtype that Weigh does not read"):
        read({"a": {"w": array}})


def test_sparse_and_nested_tensors_are_left_out_as_from_a_file(tmp_path: Path) -> None:
    odd = {"w": torch.ones(2), "s": torch.eye(3).to_sparse()}
    torch.save(odd, tmp_path / "odd.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # once a process, it warns that they are a prototype
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    for facts in (read(odd), read(odd | {"s": nested}), facts_of(str(tmp_path / "odd.pt"))):
        assert [found.name for found in facts.tensors] == ["w"]
        assert "'s'" in facts.notes[0]
    with pytest.raises(UnsupportedError, match=r"entry 's'.*saw nested"):
        read({"s": nested})


@dataclasses.dataclass
class Settings:
    """What a run was called with."""

    rate: float
    weights: Any
    inner: Any = None


def test_records_are_gone_into_as_those_of_a_file_are(tmp_path: Path) -> None:
    settings = Settings(0.1, torch.ones(7), types.SimpleNamespace(deep=torch.ones(2)))
    held = {
        "model": {"fc.weight": torch.ones(2, 2)},
        "args": argparse.Namespace(rate=0.1, shift=torch.ones(3)),
        "settings": settings,
    }
    torch.save(held, tmp_path / "held.pt")
    pickled = [(t.name, t.role) for t in facts_of(str(tmp_path / "held.pt")).tensors]
    assert [(t.name, t.role) for t in read(held).tensors] == pickled
    assert ("settings.inner.deep", "other") in pickled
    settings.inner = settings
    assert "settings.weights" in {t.name for t in read(held).tensors}
    # A module is more than its fields.
    assert len(read({"w": torch.ones(1), "net": torch.nn.Linear(2, 2)}).tensors) == 1


def test_a_mapping_without_arrays_is_refused() -> None:
    with pytest.raises(SourceError, match="no array in this mapping; saw 'epoch' \\(int\\)"):
        read({"epoch": 3})
    with pytest.raises(SourceError, match="saw an empty mapping"):
        read({})


def test_a_name_for_two_arrays_is_refused() -> None:
    with pytest.raises(SourceError, match=r"two tensors have one name; saw a\.b"):
        read({"a": {"b": np.zeros(1)}, "a.b": np.zeros(1)})


def test_a_mapping_within_itself_is_refused() -> None:
    loop: dict[str, object] = {"w": np.zeros(1)}
    loop["again"] = loop
    with pytest.raises(SourceError, match="nested within itself"):
        read(loop)
    shared = {"w": np.zeros(1)}
    assert len(read({"a": shared, "b": shared}).tensors) == 2


def test_a_huge_repetition_can_be_sliced_and_not_read_in_whole() -> None:
    found = only(np.broadcast_to(np.float32(1), (2**20, 2**20)))
    assert extent_of(found).distinct == 1
    assert found.values.read(Region.of((7, slice(3)), (2**20, 2**20))).tolist() == [1] * 3
    with pytest.raises(ValuesError, match="repeat 1 stored values"):
        whole(found)


def test_matrices_and_masked_arrays_are_plain_arrays() -> None:
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    assert whole(only(masked)).tolist() == [1, 2]


def test_ml_dtypes_arrays_are_widened_exactly() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2fnuz", "int4", "float4_e2m1fn"):
        array = np.arange(-4, 4).astype(getattr(ml_dtypes, name))
        found = only(array)
        assert found.values.dtype.name == name
        np.testing.assert_array_equal(whole(found), array.astype(np.float32))
    with pytest.raises(UnsupportedError):
        read({"w": np.zeros(2, ml_dtypes.float8_e4m3)})


def test_a_mapping_of_numpy_arrays_does_not_load_torch() -> None:
    code = (
        "import sys, numpy\nfrom weigh._sources.arrays import read\n"
        "assert len(read({'w': numpy.zeros(3)}).tensors) == 1\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
