from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file, save_model

from weigh._errors import FormatError
from weigh._facts import Facts
from weigh._index import Region
from weigh._sources.bytes import LocalFile
from weigh._sources.safetensors import read

ENTRY = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
DTYPES = [
    "bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64", "float8_e4m3fn", "float8_e5m2",
    "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip


def facts_of(data: bytes, folder: Path) -> Facts:
    path = folder / "x.safetensors"
    path.write_bytes(data)
    return read(LocalFile(path))


def file_of(header: str | bytes, data: bytes = bytes(4)) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return len(text).to_bytes(8, "little") + text + data


def reference(path: Path) -> tuple[dict[str, tuple[str, list[int]]], dict[str, str]] | None:
    """What the format's own library says of the file: names, dtypes and shapes, or no."""
    try:
        with safe_open(path, "pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
            stated = {name: (s.get_dtype(), s.get_shape()) for name, s in slices.items()}
            return stated, opened.metadata() or {}
    except SafetensorError:
        return None


def ours(path: Path) -> tuple[dict[str, tuple[str, list[int]]], dict[str, str]] | None:
    try:
        facts = read(LocalFile(path))
    except FormatError as error:
        assert str(error).isprintable()  # noqa: PT017 - one clean line, whatever the file says
        return None
    stated = {t.name: (t.values.dtype.name, list(t.values.shape or ())) for t in facts.tensors}
    return stated, dict(facts.metadata)


def agree(data: bytes, folder: Path) -> bool:
    """Whether both readers take the file; that they see the same is asserted."""
    path = folder / "x.safetensors"
    path.write_bytes(data)
    theirs, mine = reference(path), ours(path)
    assert (mine is None) == (theirs is None), data
    if mine is None or theirs is None:
        return False
    assert {n: s for n, (_, s) in mine[0].items()} == {n: s for n, (_, s) in theirs[0].items()}
    assert mine[1] == theirs[1]
    return True


def test_every_dtype_has_the_librarys_values(tmp_path: Path) -> None:
    raw = torch.randint(0, 256, (6, 16), dtype=torch.uint8, generator=torch.manual_seed(0))
    tensors = {name: raw.clone().view(getattr(torch, name)) for name in DTYPES if name != "bool"}
    tensors |= {"bool": raw > 99, "scalar": torch.tensor(2.5), "empty": torch.zeros(3, 0, 2)}
    path = tmp_path / "all.safetensors"
    save_file(tensors, path, metadata={"format": "pt", "note": "ä"})
    facts = read(LocalFile(path))
    assert facts.metadata == {"format": "pt", "note": "ä"}
    assert (facts.format, facts.ordered, facts.accounts.total) == (
        "safetensors",
        False,
        path.stat().st_size,
    )
    assert {found.name for found in facts.tensors} == set(tensors)
    with safe_open(path, "pt") as opened:
        for found in facts.tensors:
            theirs = opened.get_tensor(found.name)
            assert found.values.dtype.name == str(theirs.dtype).removeprefix("torch.")
            assert found.values.shape == tuple(theirs.shape)
            if found.values.dtype.name == "bfloat16" or "float8" in found.values.dtype.name:
                theirs = theirs.to(torch.float32)
            mine = found.values.read(Region.whole(tuple(theirs.shape)))
            np.testing.assert_array_equal(mine, theirs.numpy())


def test_packed_four_bit_values_count_as_the_library_states(tmp_path: Path) -> None:
    packed = torch.arange(6, dtype=torch.uint8).view(2, 3).view(torch.float4_e2m1fn_x2)
    data = save({"w": packed})
    values = facts_of(data, tmp_path).tensors[0].values
    assert agree(data, tmp_path)
    assert values.shape == (2, 6)
    assert values.read(Region.of((0,), (2, 6))).tolist() == [0, 0, 0.5, 0, 1.0, 0]


def test_tensors_come_in_the_files_order_each_a_storage_of_its_own(tmp_path: Path) -> None:
    data = save({"a": torch.zeros(2), "b": torch.zeros(4, dtype=torch.float64), "c": torch.ones(1)})
    facts = facts_of(data, tmp_path)
    offsets = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    expected = sorted(offsets, key=lambda name: offsets[name]["data_offsets"])
    assert [found.name for found in facts.tensors] == expected
    assert len({found.identity for found in facts.tensors}) == 3
    assert len({found.values.extent.storage for found in facts.tensors}) == 3
    extent = facts.tensors[0].values.extent
    assert (extent.start, extent.stop, extent.distinct, extent.storage_bytes) == (0, 32, 4, 32)


def test_a_tie_that_save_model_dropped_is_found_again(tmp_path: Path) -> None:
    network = torch.nn.ModuleDict({"inp": torch.nn.Linear(3, 3), "out": torch.nn.Linear(3, 3)})
    network["out"].weight = network["inp"].weight
    save_model(network, str(tmp_path / "tied.safetensors"))
    found = {t.name: t for t in read(LocalFile(tmp_path / "tied.safetensors")).tensors}
    assert set(found) == set(network.state_dict())
    one, other = found["inp.weight"], found["out.weight"]
    assert one.identity == other.identity
    assert one.values.extent == other.values.extent
    assert found["inp.bias"].identity != found["out.bias"].identity


def test_a_plain_metadata_entry_makes_no_tie(tmp_path: Path) -> None:
    data = save({"pt": torch.zeros(1), "w": torch.zeros(1)}, {"format": "pt", "w": "pt"})
    assert [t.name for t in facts_of(data, tmp_path).tensors] == ["pt", "w"]


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    data = save({"a.weight": torch.ones(2, 3), "b": torch.zeros(1)}, {"k": "v"})
    for length in range(len(data)):
        assert not agree(data[:length], tmp_path)
    assert agree(data, tmp_path)
    assert not agree(data + b"\0", tmp_path)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_byte_is_judged_as_the_library_judges_it(tmp_path: Path, data: Any) -> None:
    valid = bytearray(
        save(
            {"a.weight": torch.ones(2, 3), "b": torch.zeros(0, 2), "ç": torch.zeros(1)}, {"k": "v"}
        )
    )
    end = len(valid) - 28
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, end - 1))
        valid[at] = data.draw(
            st.integers(0, 255) | st.sampled_from(list(b'{}[]",:0123456789FIU\\ '))
        )
    agree(bytes(valid), tmp_path)


UNKNOWN = 'NaN -1.5e-3 1e999 -0 01 1. .5 +1 tru true null [] {} [1,] {,} [[{}]] "x" \'x\' "\\q"'


@pytest.mark.parametrize(
    "header",
    [
        "{}",
        "",
        "null",
        "[]",
        "{",
        '{"t":' + ENTRY,
        '{"t":' + ENTRY + ",}",
        '{"t":' + ENTRY + "}x",
        '{"t":' + ENTRY + "}\0",
        '{"t":' + ENTRY + "} \n\t\r",
        ' \n{ "t" :\t' + ENTRY + "}",
        "\ufeff{}",
        b'{"\xff":' + ENTRY.encode() + b"}",
        '{"":' + ENTRY + "}",
        '{"\x01":' + ENTRY + "}",
        '{"\\u0000":' + ENTRY + "}",
        '{"\\ud83d\\ude00":' + ENTRY + "}",
        '{"\\ud800":' + ENTRY + "}",
        '{"t":1}',
        '{"t":null}',
        '{"t":{}}',
        '{"t":{"dtype":"F32","shape":[1]}}',
        '{"t":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}',
        '{"t":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        '{"t":{"dtype":"\\u004632","shape":[1],"data_offsets":[0,4]}}',
        '{"__metadata__":null,"t":' + ENTRY + "}",
        '{"__metadata__":{},"t":' + ENTRY + "}",
        '{"__metadata__":{"a":1},"t":' + ENTRY + "}",
        '{"__metadata__":{"a":null},"t":' + ENTRY + "}",
        '{"__metadata__":[],"t":' + ENTRY + "}",
        '{"__metadata__":{},"__metadata__":{},"t":' + ENTRY + "}",
        *('{"t":' + ENTRY.replace("[1]", shape) + "}" for shape in (
            "[1,1]", "[1,]", "[]", "[-1]", "[1.0]", "[1e0]", "[01]", '["1"]', "[true]", "[[1]]",
            "1", "null", "[2]", "[18446744073709551616]", "[18446744073709551617]", "[ 1 , 1 ]",
            "[9999999999999999999999]", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[٣]",
        )),
        *('{"t":' + ENTRY.replace("[0,4]", offsets) + "}" for offsets in (
            "[0,4,4]", "[0]", "[]", "[4,0]", "[-0,4]", "[0,4.0]", "[1,5]", "[0,3]", "[0,8]", "null",
            "[18446744073709551612,0]", "[0,18446744073709551616]",
        )),
        *('{"t":' + ENTRY.replace("F32", dtype) + "}" for dtype in (
            "f32", "", "I32", "I4", "F64", "C128", "F8_E4M3FN", "x" * 5000,
        )),
        *('{"t":' + ENTRY[:-1] + ',"x":' + x + "}}" for x in UNKNOWN.split()),
        '{"t":' + ENTRY[:-1] + ',"x":' + "9" * 5000 + "}}",
        '{"t":' + ENTRY[:-1] + ',"x":"\\ud800"}}',
        *('{"t":' + ENTRY[:-1] + ',"x":' + "[" * n + "]" * n + "}}" for n in (125, 126, 100_000)),
        '{"t":' + '{"a":' * 100_000,
        "[" * 1_000_000,
        '{"t":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]},"u":' + ENTRY
        + "}",
        '{"t":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]},"u":' + ENTRY
        + "}",
        '{"t":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}',
        '{"t":{"dtype":"F4","shape":[7],"data_offsets":[0,4]}}',
        '{"t":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]},"u":{"dtype":"F8_E5M2",'
        '"shape":[],"data_offsets":[3,4]}}',
        '{"t":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},"u":{"dtype":"I8","shape":[2],'
        '"data_offsets":[1,4]}}',
        '{"t":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},"u":{"dtype":"I8","shape":[1],'
        '"data_offsets":[3,4]}}',
        '{"t":{"dtype":"I8","shape":[2],"data_offsets":[2,4]},"u":{"dtype":"I8","shape":[2],'
        '"data_offsets":[0,2]}}',
    ],
    ids=lambda header: repr(header[:60]),
)  # fmt: skip
def test_an_odd_header_is_judged_as_the_library_judges_it(
    header: str | bytes, tmp_path: Path
) -> None:
    agree(file_of(header), tmp_path)
    agree(file_of(header, b""), tmp_path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"t":' + ENTRY + ',"t":' + ENTRY + "}", "the header names tensor 't' twice"),
        ('{"__metadata__":{"a":"b","a":"c"},"t":' + ENTRY + "}", "has the key 'a' twice"),
        ('{"__metadata__":{"a":1}}', "the value of 'a' in '__metadata__' is not a text"),
        (
            '{"a":' + ENTRY.replace("F32", "F33") + "}",
            "tensor 'a' has a dtype the format does not have; saw 'F33'",
        ),
        (
            '{"a":' + ENTRY.replace("[1]", "[-1]") + "}",
            "tensor 'a': a whole number from 0 to 2^64 - 1 was expected in the JSON; "
            "saw '-1],\"data_offsets\":[0,4]' at character 29",
        ),
        (
            '{"a":' + ENTRY.replace("[0,4]", "[1,5]") + "}",
            "tensor 'a' does not begin where the one before it ends; "
            "saw bytes 1 to 5 where 0 is next",
        ),
        (
            '{"a":' + ENTRY.replace("[1]", "[2]") + "}",
            "tensor 'a' has not the size its shape and dtype make; "
            "saw 4 bytes where 8 are needed",
        ),
        ("{}", "bytes follow the last tensor; saw 4 bytes of data where the header states 0"),
    ],
)  # fmt: skip
def test_the_error_says_what_is_wrong_and_where(header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        facts_of(file_of(header), tmp_path)
    assert message in str(caught.value)


def test_a_header_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write((100_000_001).to_bytes(8, "little"))
        file.truncate(200_000_000)
    assert reference(path) is None
    with pytest.raises(FormatError, match="limit of 100,000,000 bytes; saw 100,000,001"):
        read(LocalFile(path))


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8")), st.lists(st.integers(0, 4)), max_size=5)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_names_and_shapes_are_read_as_written(
    tmp_path: Path, shapes: dict[str, list[int]]
) -> None:
    tensors = {n: torch.zeros(s, dtype=torch.int8) for n, s in shapes.items() if np.prod(s) < 9999}
    tensors.pop("__metadata__", None)
    found = facts_of(save(tensors), tmp_path).tensors
    assert {t.name: t.values.shape for t in found} == {
        n: tuple(t.shape) for n, t in tensors.items()
    }
    assert agree(save(tensors), tmp_path)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8"))
        | st.integers(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
        ),
    ),
    st.sampled_from([None, 1]),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_extra_field_is_passed_over(
    tmp_path: Path, extra: object, indent: int | None, ascii_only: bool
) -> None:  # fmt: skip
    entry = {**json.loads(ENTRY), "note": extra}
    text = json.dumps({"t": entry}, indent=indent, ensure_ascii=ascii_only)
    (found,) = facts_of(file_of(text), tmp_path).tensors
    assert (found.name, found.values.shape) == ("t", (1,))


@pytest.mark.parametrize("value", ["[" + "[]," * 1_000_001 + "0]", "[" + "0," * 5000 + "0]"])
@pytest.mark.parametrize("field", ["shape", "note"])
def test_a_header_made_to_waste_time_is_refused(value: str, field: str, tmp_path: Path) -> None:
    header = '{"t":{"' + field + '":' + value + "," + ENTRY[1:] + "}"
    if field == "note" and len(value) < 100_000:
        assert agree(file_of(header), tmp_path)
        return
    with pytest.raises(FormatError, match=r"^tensor 't': .* in the JSON; saw"):
        facts_of(file_of(header), tmp_path)
