from __future__ import annotations

import argparse
import collections
import contextlib
import datetime as dt
import gc
import itertools
import pickle
import pickletools
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weigh._errors import FormatError
from weigh._sources.bytes import MemoryBytes
from weigh._sources.long_values import LongText
from weigh._sources.part import Part
from weigh._sources.pickle_program import Program
from weigh._sources.pickled import Call, Global, Items, Pairs, Persistent
from weigh._sources.pickles import EndsEarlyError, read_pickle

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.lists(inner).map(tuple)
        | st.sets(st.integers())
        | st.frozensets(st.text())
    ),
    max_leaves=20,
)


def plain(thing: Any) -> Any:
    """Turn what the machine gives into what Python's own loader gives."""
    if isinstance(thing, Pairs):
        return {plain(key): plain(value) for key, value in thing.pairs}
    if isinstance(thing, Items):
        return {plain(item) for item in thing.items}
    if isinstance(thing, list | tuple):
        return type(thing)(plain(item) for item in thing)
    if isinstance(thing, Call):  # protocols below 4 make sets, below 3 bytes, by a call
        assert isinstance(thing.arguments, tuple)
        if thing.path == "_codecs.encode":
            return thing.arguments[0].encode("latin-1")
        if thing.path in ("__builtin__.bytes", "builtins.bytes"):
            return b""
        assert thing.path.rpartition(".")[2] in ("set", "frozenset")
        return {plain(item) for item in thing.arguments[0]}
    return thing


@given(PLAIN, st.integers(0, 5))
def test_plain_values_are_what_pickle_loads(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    read = read_pickle(data)
    assert plain(read.value) == value
    assert (read.start, read.end, read.outside) == (0, len(data), [])


def test_every_instruction_of_every_protocol_is_known() -> None:
    from weigh._sources.pickle_operations import OPERATIONS, STOP

    assert {ord(code.code) for code in pickletools.opcodes} == {*OPERATIONS, STOP}


@pytest.mark.parametrize("protocol", range(6))
def test_objects_are_noted_as_calls(protocol: int) -> None:
    made = argparse.Namespace(lr=0.1, betas=(0.9, 0.99))
    counted = collections.OrderedDict(a=1)
    thing = [made, counted, dt.date(2020, 1, 2)]
    read = read_pickle(pickle.dumps(thing, protocol))
    namespace, ordered, date = read.value
    assert [type(one) for one in read.value] == [Call, Call, Call]
    assert plain(namespace.states[0]) == {"lr": 0.1, "betas": (0.9, 0.99)}
    assert ordered.path == "collections.OrderedDict"
    if protocol >= 2:
        assert ordered.pairs == [("a", 1)]
    assert date.path == "datetime.date"
    assert "datetime.date" in read.globals


def test_one_object_in_two_places_stays_one() -> None:
    inner = [1]
    again = read_pickle(pickle.dumps([inner, inner])).value
    assert again[0] is again[1]
    inner.append(inner)  # type: ignore[arg-type]
    recursive = read_pickle(pickle.dumps(inner)).value
    assert recursive[1] is recursive


class Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        import os

        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_run(tmp_path: Path, protocol: int) -> None:
    canary = tmp_path / "canary"
    data = pickle.dumps({"x": Evil(f"touch {canary}")}, protocol)
    read = read_pickle(data)
    assert any(name.endswith(".system") for name in read.globals)
    assert not canary.exists()
    pickle.loads(data)  # the pickle is a real attack
    assert canary.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cbuiltins\neval\n(S'1/0'\ntR.",
        b"(ios\nsystem\n.",
        b"(cos\nsystem\nS'x'\no.",
        b"\x80\x02cos\nsystem\n)\x81.",
        b"\x80\x04cos\nsystem\n)}\x92.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93)R}b.",
    ],
)
def test_every_way_to_call_is_a_note(program: bytes) -> None:
    made = read_pickle(program).value
    assert isinstance(made, Call)
    assert made.path in ("os.system", "builtins.eval")


def test_a_class_that_does_not_exist_is_a_name() -> None:
    read = read_pickle(b"cno.such.module\nThing\n.")
    assert isinstance(read.value, Global)
    assert read.value.path == "no.such.module.Thing"
    assert read.globals == {"no.such.module.Thing"}
    assert "no" not in sys.modules


def test_ids_outside_are_listed_in_order() -> None:
    read = read_pickle(b"\x80\x02(K\x01QK\x02QPabc\nl.")
    assert [one.pid for one in read.outside] == [1, 2, "abc"]
    assert all(isinstance(one, Persistent) for one in read.value)


def test_a_long_byte_string_stays_where_it_is() -> None:
    long = bytes(range(256)) * 1000
    made = read_pickle(pickle.dumps([1, long, 2], 4)).value
    assert isinstance(made[1], Part)
    assert made[1].view(0, made[1].size) == long
    assert (made[0], made[2]) == (1, 2)


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_a_long_text_stays_where_it_is(protocol: int) -> None:
    long = "".join(map(chr, range(256))) * 2000
    made = read_pickle(pickle.dumps([1, long, 2], protocol)).value
    assert isinstance(made[1], LongText)
    assert made[1].head(300) == long[:300]
    assert made[1].size == len(long)
    assert (made[0], made[2]) == (1, 2)
    data = long.encode("latin-1")
    for start in (0, 1, 127, 128, 200_000, 262_143, 262_144, 262_145, 500_000, len(long)):
        for length in (0, 1, 2, 300, 100_000):
            stop = min(start + length, len(long))
            assert bytes(made[1].view(start, stop - start)) == data[start:stop]


def test_a_long_text_that_is_no_bytes_is_refused_when_it_is_read_as_such() -> None:
    made = read_pickle(pickle.dumps("a" * 100_000 + "\u20ac", 4)).value
    assert made.size == 100_001
    with pytest.raises(FormatError, match="has others"):
        made.view(99_000, 1001)


@given(PLAIN, st.integers(0, 5), st.integers(1, 40))
def test_a_pickle_is_the_same_whatever_part_of_it_is_in_memory(
    value: Any, protocol: int, first: int
) -> None:
    data = pickle.dumps(value, protocol)
    program = Program(MemoryBytes(b"N." + data + b"N."), first, most=first)
    assert read_pickle(program).value is None
    read = read_pickle(program, 2)
    assert plain(read.value) == value
    assert read.end == 2 + len(data)
    assert read_pickle(program, read.end).end == len(data) + 4


REFUSED = {
    "empty": b"",
    "no stop": b"\x80\x02N",
    "empty stack": b".",
    "unknown instruction": b"\xff.",
    "unknown protocol": b"\x80\x06N.",
    "unknown memo entry": b"h\x07.",
    "frame past the end": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
    "bytes past the end": b"\x80\x03B\xff\xff\xff\x7fabc.",
    "8-byte length": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.",
    "text that is no text": b"X\x01\0\0\0\xff.",
    "no mark": b"t.",
    "odd pairs": b"(Nd.",
    "append to a number": b"K\x01Na.",
    "set in a list": b"]NNs.",
    "state of a number": b"K\x01}b.",
    "enormous decimal": b"L" + b"9" * 60_000 + b"L\n.",
    "enormous float": b"F" + b"9" * 60_000 + b"\n.",
    "enormous binary integer": b"\x8b" + struct.pack("<I", 60_000) + bytes(60_000) + b".",
    "negative length": b"\x8b\xff\xff\xff\xff.",
    "no number": b"Ixyz\n.",
    "endless line": b"I" + b" " * 100_000 + b"\n.",
    "class named by a number": b"\x80\x04K\x01K\x02\x93.",
    "endless class name": b"c" + b"a" * 5000 + b"\nb\n.",
    "text without quotes": b"Sabc\n.",
    "extension": b"\x82\x01.",
    "out-of-band buffer": b"\x80\x05\x97.",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_pickle_is_refused(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_pickle(REFUSED[name])
    assert "\n" not in str(caught.value)


def test_an_odd_escape_warns_nobody() -> None:
    # Warnings are errors in these tests.
    assert read_pickle(b"S'a\\d'\n.").value == "a\\d"


def test_a_pickle_cut_anywhere_ends_early() -> None:
    data = pickle.dumps({"a": [1, 2.5, "text", (None, b"bytes")], "n": 2**80}, 2)
    for length in range(len(data)):
        with pytest.raises(EndsEarlyError):
            read_pickle(data[:length])


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        read_pickle(data)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_pickle_is_read_or_refused(data: Any) -> None:
    thing = {"a": argparse.Namespace(x=1), "b": [1, (2, {3})], "c": collections.OrderedDict(z=0)}
    damaged = bytearray(pickle.dumps(thing, data.draw(st.integers(0, 5))))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        read_pickle(bytes(damaged))


def test_a_put_far_out_takes_no_memory() -> None:
    assert read_pickle(b"\x80\x02Nr\xff\xff\xff\xffj\xff\xff\xff\xff.").value is None


DEEP = {
    "tuples": b"\x80\x02)" + b"\x85" * 300_000 + b".",
    "calls": b"\x80\x02N" + b")R" * 300_000 + b".",
    "lists": b"\x80\x02" + b"]" * 150_000 + b"a" * 149_999 + b".",
    "dicts": b"\x80\x02" + b"}N" * 150_000 + b"}" + b"s" * 150_000 + b".",
    "states": b"\x80\x02" + b"N)R" * 150_000 + b"N" + b"b" * 150_000 + b".",
    "sets": b"\x80\x04" + b"\x8f(" * 150_000 + b"\x90" * 149_999 + b"0.",
    "ids": b"\x80\x02N" + b"Q" * 300_000 + b".",
    "a tuple as a key": b"\x80\x02})" + b"\x85" * 300_000 + b"Ns.",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting_crashes_neither_reading_nor_freeing(name: str) -> None:
    read = None
    try:
        read = read_pickle(DEEP[name])
    except FormatError:
        assert name == "sets"
    del read
    gc.collect()


def test_many_states_of_one_object_take_linear_time() -> None:
    start = time.perf_counter()
    read = read_pickle(b"\x80\x02N)R" + b"Nb" * 200_000 + b".")
    assert len(read.value.states) == 200_000
    assert time.perf_counter() - start < 10


def test_names_joined_from_long_texts_are_bounded() -> None:
    texts = [bytes([65 + i]) * 400 for i in range(20)]
    put = b"".join(b"X" + struct.pack("<I", 400) + t + b"q" + bytes([i]) + b"0"
                   for i, t in enumerate(texts))  # fmt: skip
    pairs = [(i, j) for i in range(20) for j in range(20)]
    use = b"".join(b"h" + bytes([i]) + b"h" + bytes([j]) + b"\x930" for i, j in pairs)
    assert len(read_pickle(put + use + b"N.").globals) == 400
    with pytest.raises(FormatError, match="classes"):
        read_pickle(b"".join(b"cm\n%d\n0" % i for i in range(20_000)) + b"N.")


def test_reading_imports_neither_pickle_nor_numpy_nor_torch() -> None:
    code = (
        "import sys; from weigh._sources.pickles import read_pickle; read_pickle(b'N.');"
        "print([m for m in ('pickle', '_pickle', 'numpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_imports_nothing_that_a_pickle_names() -> None:
    before = set(sys.modules)
    read_pickle(b"cantigravity\nfly\n(S'x'\ntR(iidlelib.run\nmain\n0(cthis\ns\no.")
    assert not {"antigravity", "idlelib", "this"} & (set(sys.modules) - before)


@pytest.mark.parametrize("program", [b"0.", b"1.", b"(0.", b"(1.", b"2.", b"(N(1t0.", b"a.", b"e."])
def test_marks_and_pops_without_a_value_are_refused(program: bytes) -> None:
    with pytest.raises(FormatError):
        read_pickle(program)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_default_dict_keeps_its_factory_and_its_pairs(protocol: int) -> None:
    made = read_pickle(pickle.dumps(collections.defaultdict(list, {"a": [1]}), protocol)).value
    assert isinstance(made, Call)
    assert made.path == "collections.defaultdict"
    assert isinstance(made.arguments, tuple)
    assert [one.path.rpartition(".")[2] for one in made.arguments] == ["list"]
    assert made.pairs == [("a", [1])]


_HUNGRY = {
    "marks": b"(" * 10_000_000,
    "lists": b"]" * 10_000_000,
    "dicts": b"}" * 10_000_000,
    "sets": b"\x8f" * 10_000_000,
    "tuples in tuples": b")" + b"\x85" * 10_000_000,
    "calls": b"cos\nx\n" + b")R" * 5_000_000,
    "dicts of marks": b"(d" * 5_000_000,
    "lists of marks": b"(l" * 5_000_000,
    "ids outside": b"N" + b"Q" * 10_000_000,
    "states": b"cos\nx\n)R" + b"}b" * 5_000_000,
    "new states": b"cos\nx\n" + b")RNb" * 2_500_000,
    "short texts": b"U\2ab" * 4_000_000,
    "wide texts": b"X\x08\0\0\0abcd\xf0\x9f\x98\x80" * 1_000_000,
    "one wide text": b"X\x84\x96\x98\0\xf0\x9f\x98\x80" + b"a" * 10_000_000,
    "numbers": b"M\1\2" * 5_000_000,
    "places in the memo": b"N" + b"".join(b"r%b" % struct.pack("<I", 3 * i) for i in range(2**20)),
    "pairs": b"}" + b"NNs" * 3_000_000,
    "many pairs": b"}(" + b"N" * 10_000_000 + b"u",
    "a pair of a call": b"cos\nx\n)R" + b"NNs" * 3_000_000,
}
_MEASURE = """
import sys, time
from weigh._errors import WeighError
from weigh._sources.pickles import read_pickle
data = sys.stdin.buffer.read()
begin = time.process_time()
try: read_pickle(data)
except WeighError as error: assert "more memory" in str(error) or "ends early" in str(error), error
took = time.process_time() - begin
status = open("/proc/self/status").read()
print(took, int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
@pytest.mark.parametrize("name", _HUNGRY)
def test_what_a_short_program_asks_for_is_bounded(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE], input=_HUNGRY[name], capture_output=True, check=True
    )
    took, peak = map(float, done.stdout.split())
    assert peak < 300
    assert took < 10


def test_a_list_of_very_many_tensors_is_not_refused() -> None:
    """As the pickle of 150,000 tensors is, each of its objects put into the memo."""
    place = itertools.count(6)

    def put() -> bytes:
        return b"r" + struct.pack("<I", next(place))

    def text(words: bytes) -> bytes:
        return b"X" + struct.pack("<I", len(words)) + words + put()

    def tensor(key: int) -> bytes:
        pid = b"(h\0h\1" + text(b"%d" % key) + b"h\2M\x09\3t" + put() + b"Q"
        sizes = b"K\1\x85" + put() + b"K\1\x85" + put()
        return b"h\3(" + pid + b"K\0" + sizes + b"\x89h\4)R" + put() + b"t" + put() + b"R" + put()

    known = (
        b"X\7\0\0\0storageq\0ctorch\nFloatStorage\nq\1X\3\0\0\0cpuq\2"
        b"ctorch._utils\n_rebuild_tensor_v2\nq\3ccollections\nOrderedDict\nq\x04Nq\5"
    )
    rows = (text(b"model.layers.%017d" % i) + tensor(i) for i in range(150_000))
    data = b"\x80\2" + known + b"}(" + b"".join(rows) + b"u."
    assert len(read_pickle(data).value.pairs) == 150_000
