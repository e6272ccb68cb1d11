from __future__ import annotations

import contextlib
import io
import struct
import zipfile
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weigh._errors import FormatError
from weigh._sources.bytes import MemoryBytes
from weigh._sources.zips import data_offset, read_directory, read_member, stored_offset

MEMBERS = {"a/data.pkl": b"pickle", "a/data/0": bytes(100), "a/empty": b""}


def archive(members: dict[str, bytes] = MEMBERS, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def contents(data: bytes) -> dict[str, bytes]:
    source = MemoryBytes(data)
    members = read_directory(source)
    return {name: read_member(source, m, most=1 << 20) for name, m in members.items()}


def refused(data: bytes, match: str | None = None) -> None:
    with pytest.raises(FormatError, match=match) as caught:
        contents(data)
    assert "\n" not in str(caught.value)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
            lambda name: name.isprintable()
        ),
        st.binary(max_size=300),
        max_size=6,
    )
)
def test_members_are_those_that_zipfile_wrote(members: dict[str, bytes]) -> None:
    if len({name.lower() for name in members}) == len(members):
        assert contents(archive(members)) == members


def test_sizes_of_64_bits_are_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file, file.open("x", "w", force_zip64=True) as member:
        member.write(b"abc")
    assert contents(buffer.getvalue()) == {"x": b"abc"}


def test_the_64_bit_end_record_is_followed() -> None:
    data = archive()
    plain = data[:-22]
    _, _, _, _, count, size, start, _ = struct.unpack("<4s4H2LH", data[-22:])
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(plain), 1)
    full = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert contents(plain + end64 + locator + full) == MEMBERS
    refused(plain + end64 + full, "64-bit|directory")
    refused(plain + end64 + locator.replace(b"\x01\0\0\0", b"\x02\0\0\0") + full)
    refused(plain + end64 + b"junk" + locator + full)


def test_a_streamed_archive_is_read() -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: Any) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    buffer = Unseekable()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in MEMBERS.items():
            file.writestr(name, data)
    assert contents(buffer.getvalue()) == MEMBERS


def test_listing_reads_the_directory_and_little_more() -> None:
    class Counting(MemoryBytes):
        read = 0

        def view(self, offset: int, length: int) -> memoryview:
            self.read += length
            return super().view(offset, length)

    source = Counting(archive({"a/data/0": bytes(1 << 20), "a/data.pkl": b""}))
    members = read_directory(source)
    assert data_offset(source, members["a/data/0"]) == 30 + len("a/data/0")
    assert source.read < 70_000


def test_an_archive_cut_short_is_refused() -> None:
    data = archive()
    for length in range(len(data)):
        refused(data[:length])


def test_what_two_readers_could_disagree_on_is_refused() -> None:
    data = archive()
    at = data.index(b"PK\1\2")
    start = struct.pack("<L", at)
    refused(b"junk" + data, "directory")
    moved = data[:-6] + struct.pack("<L", at + 4) + data[-2:]
    refused(b"junk" + moved, "disagree")
    shifted = bytearray(archive({"a": b"one"}))
    first = shifted.index(b"PK\1\2")
    struct.pack_into("<L", shifted, first + 42, 4)
    struct.pack_into("<L", shifted, len(shifted) - 6, first + 4)
    refused(b"junk" + bytes(shifted), "before")
    refused(data + b"junk", "follows")
    refused(data + data)
    refused(data[:at] + b"junk" + data[at:], "directory")
    assert data[-6:-2] == start
    refused(data[:at] + b"junk" + data[at:-6] + struct.pack("<L", at + 4) + data[-2:], "between")


def test_a_second_archive_in_the_comment_is_refused() -> None:
    """Readers from the front would see the first directory, others the second."""
    data = archive({"a": b"one"})
    at = data.index(b"PK\1\2")
    directory = data[at:-22]
    size, start = len(directory), len(data)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, start, 0)
    inner = directory + end
    outer = data[:-2] + struct.pack("<H", len(inner)) + inner
    assert zipfile.ZipFile(io.BytesIO(outer)).namelist() == ["a"]
    refused(outer, "between")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["a/data.pkl", "A/Data.PKL"])
def test_two_members_of_one_name_are_refused(other: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/data.pkl", b"1")
        file.writestr(other, b"2")
    refused(buffer.getvalue(), "one name")


def test_a_compressed_member_is_listed_and_not_read() -> None:
    source = MemoryBytes(archive({"x": bytes(1000)}, compression=zipfile.ZIP_DEFLATED))
    (member,) = read_directory(source).values()
    assert member.size == 1000
    with pytest.raises(FormatError, match="compressed"):
        stored_offset(source, member)


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(archive())
    data[data.index(b"PK\1\2") + 8] |= 1
    refused(bytes(data), "encrypted")
    data = bytearray(archive())
    data[6] |= 1
    refused(bytes(data), "encrypted")


@pytest.mark.parametrize("field", [(8, "<H", 8), (18, "<L", 5), (22, "<L", 5), (30, "<B", 0x62)])
def test_a_local_header_that_disagrees_is_refused(field: tuple[int, str, int]) -> None:
    at, form, value = field
    data = bytearray(archive())
    struct.pack_into(form, data, at, value)
    refused(bytes(data), "disagree|two sizes")


def test_a_member_pushed_into_the_next_is_refused() -> None:
    """The local header alone says how long its extra field is, and so where the data is."""
    data = bytearray(archive())
    struct.pack_into("<H", data, 28, 10)
    refused(bytes(data), "reaches into")


def test_overlapping_members_are_refused() -> None:
    data = bytearray(archive({"a": b"one", "b": b"two"}))
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    struct.pack_into("<L", data, second + 42, 0)
    refused(bytes(data), "overlaps")
    data = bytearray(archive({"a": b"one", "b": b"two"}))
    first = data.index(b"PK\1\2")
    struct.pack_into("<2L", data, first + 20, 50, 50)
    refused(bytes(data), "overlaps")


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_archive_is_read_or_refused(data: Any) -> None:
    damaged = bytearray(archive())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        contents(bytes(damaged))


def test_members_lie_where_torch_put_them() -> None:
    """PyTorch pads local headers, so that values begin at multiples of 64."""
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(6.0), "b": torch.ones(300)}, buffer)
    data = buffer.getvalue()
    with zipfile.ZipFile(buffer) as file:
        expected = {info.filename: file.read(info) for info in file.infolist()}
    assert contents(data) == expected
    source = MemoryBytes(data)
    members = read_directory(source)
    stored = [member for name, member in members.items() if "/data/" in name]
    assert len(stored) == 2
    assert all(data_offset(source, member) % 64 == 0 for member in stored)


def test_more_members_than_16_bits_count() -> None:
    names = [f"m/{number}" for number in range(66_000)]
    members = read_directory(MemoryBytes(archive(dict.fromkeys(names, b""))))
    assert list(members) == names


@pytest.mark.parametrize("field", [4, 6, 8, 10, 12, 16])
def test_a_false_end_record_is_refused(field: int) -> None:
    """Disk, disk of the directory, both counts, the directory's size and place."""
    data = bytearray(archive())
    data[len(data) - 22 + field] += 1
    refused(bytes(data))


@pytest.mark.parametrize("field", [4, 8, 16])
def test_a_false_locator_of_the_64_bit_end_record_is_refused(field: int) -> None:
    data = bytearray(archive(dict.fromkeys(map(str, range(65_600)), b"")))
    at = data.rindex(b"PK\6\7")
    data[at + field] += 1
    refused(bytes(data), "64-bit")
