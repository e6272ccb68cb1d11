"""The cache: what is asked again is told at once, and never of a file that changed."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from safetensors.numpy import save_file

import weigh
from test_cli import run
from weigh._errors import WeighError
from weigh._measures import cache
from weigh._measures.report import Collector, StatisticsReport

VALUES = {"a.weight": np.arange(600, dtype=np.float32).reshape(20, 30), "a.bias": np.ones(20, "f4")}
INDEX = "model.safetensors.index.json"


def in_file(place: Path) -> Path:
    save_file(VALUES, place / "m.safetensors")
    return place / "m.safetensors"


def by_a_link(place: Path) -> Path:
    save_file(VALUES, place / "m.safetensors")
    save_file({"a.weight": np.zeros((4, 5), "f4")}, place / "other.safetensors")
    (place / "link.safetensors").symlink_to("m.safetensors")
    return place / "link.safetensors"


def in_shards(place: Path) -> Path:
    """Shards, one of them in a folder within."""
    (place / "in").mkdir()
    parts = {"a.weight": "m.safetensors", "a.bias": "in/2.safetensors"}
    for name, file in parts.items():
        save_file({name: VALUES[name]}, place / file)
    (place / INDEX).write_text(json.dumps({"weight_map": parts}))
    return place / INDEX


def in_folder(place: Path) -> Path:
    return in_shards(place).parent


def change_bytes(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(-4, os.SEEK_END)
        opened.write(np.float32(5000).tobytes())


def change_and_set_back(file: Path) -> None:
    before = file.stat()
    change_bytes(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def replace(file: Path) -> None:
    other = file.with_name("copied")
    shutil.copy2(file, other)
    other.replace(file)


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 4)


def retarget(file: Path) -> None:
    link = file.with_name("link.safetensors")
    link.unlink()
    link.symlink_to("other.safetensors")


def change_within(file: Path) -> None:
    change_bytes(file.with_name("in") / "2.safetensors")


def change_index(file: Path) -> None:
    index = file.with_name(INDEX)
    index.write_text(index.read_text() + " ")


CASES: list[tuple[Callable[[Path], Path], Callable[[Path], None]]] = [
    (in_file, change_bytes),
    (in_file, change_and_set_back),
    (in_file, replace),
    (in_file, truncate),
    (in_file, Path.touch),
    (in_file, Path.unlink),
    (by_a_link, retarget),
    (by_a_link, change_and_set_back),
    (in_shards, change_bytes),
    (in_shards, change_within),
    (in_shards, change_index),
    (in_folder, change_within),
    (in_folder, replace),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A source for each case, old enough to be kept: files that just changed are not."""
    found = [make(tmp_path_factory.mktemp("case")) for make, _ in CASES]
    time.sleep(2.1)
    return found


@pytest.fixture(scope="module")
def source(prepared: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that no test changes."""
    made = in_file(tmp_path_factory.mktemp("file"))
    time.sleep(2.1)
    return made


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEIGH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "WORTH", 0)
    return tmp_path / "cache"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Collector]:
    """Each time that values were measured, not told again."""
    found: list[Collector] = []
    real = Collector.run

    def noted(collector: Collector) -> Any:
        found.append(collector)
        return real(collector)

    monkeypatch.setattr(Collector, "run", noted)
    return found


def ask(source: Path, *args: Any, **options: Any) -> StatisticsReport:
    return weigh.stats(source, *args, cache=True, **options)


def shown(report: StatisticsReport) -> list[Any]:
    rows = [*report, report.total_row]
    return [
        (row.record(), row.low, row.high, row.bins, row.stored, repr(row.tensor)) for row in rows
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pattern": "*.bias"},
        {"by": "layer"},
        {"by": "out_features"},
        {"by": "in_features"},
        {"exact": True},
        {"quantiles": (0.3,)},
    ],
)
def test_an_unchanged_file_is_answered_from_the_cache(
    source: Path, place: Path, measured: list[Collector], options: dict[str, Any]
) -> None:
    first = ask(source, **options)
    second = ask(source, **options)
    assert len(measured) == 1
    assert shown(second) == shown(first) == shown(weigh.stats(source, **options))
    assert (second.by, second.of_parameters) == (first.by, first.of_parameters)
    [entry] = place.iterdir()
    assert entry.stat().st_mode & 0o777 == 0o600
    assert place.stat().st_mode & 0o777 == 0o700


def test_every_question_has_its_own_answer(source: Path, measured: list[Collector]) -> None:
    questions: list[dict[str, Any]] = [
        {}, {"pattern": "a"}, {"pattern": "a.bias"}, {"by": "layer"}, {"by": "dtype"},
        {"exact": True}, {"quantiles": (0.5,)},
    ]  # fmt: skip
    answers = [shown(ask(source, **each)) for each in questions]
    assert [shown(ask(source, **each)) for each in questions] == answers
    assert len(measured) == len(questions)


def test_files_side_by_side_are_told_apart(
    prepared: list[Path], tmp_path: Path, measured: list[Collector]
) -> None:
    linked = prepared[CASES.index((by_a_link, change_and_set_back))]
    other = linked.with_name("other.safetensors")
    assert ask(linked).total != ask(other).total
    assert ask(other).total.count == 20
    assert len(measured) == 2


def test_two_files_of_one_folder_are_two_questions(
    tmp_path: Path, measured: list[Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a format whose files may belong together."""
    import gguf

    monkeypatch.setattr(cache, "_RACY", -60.0)
    (tmp_path / "models").mkdir()
    for name, value in (("one", 1.0), ("two", 2.0)):
        writer = gguf.GGUFWriter(tmp_path / "models" / f"{name}.gguf", "llama")
        writer.add_tensor("x.weight", np.full((4, 8), value, "f4"))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    for _ in range(2):
        assert ask(tmp_path / "models" / "one.gguf").total.mean == 1.0
        assert ask(tmp_path / "models" / "two.gguf").total.mean == 2.0
    assert len(measured) == 2


@pytest.mark.parametrize("case", range(len(CASES)))
def test_a_changed_file_is_measured_again(
    prepared: list[Path], measured: list[Collector], case: int
) -> None:
    source, (_, change) = prepared[case], CASES[case]
    ask(source)
    ask(source)
    assert len(measured) == 1
    change((source if source.is_dir() else source.parent) / "m.safetensors")
    try:
        expected = shown(weigh.stats(source))
    except WeighError as error:
        with pytest.raises(type(error)):
            ask(source)
        return
    measured.clear()
    assert shown(ask(source)) == expected
    assert len(measured) == 1


def test_what_just_changed_is_not_kept(tmp_path: Path, place: Path) -> None:
    ask(in_file(tmp_path))
    assert not place.exists()


def test_what_changes_while_it_is_measured_is_not_kept(
    source: Path, tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_RACY", -60.0)  # it is new, and the fault is another
    path = tmp_path / "m.safetensors"
    shutil.copy(source, path)
    ask(path, progress=lambda _: change_bytes(path))
    assert not place.exists()
    ask(path)
    assert len(list(place.iterdir())) == 1


def test_what_was_looked_for_in_vain_counts_when_it_is_there(
    tmp_path: Path, measured: list[Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_RACY", -60.0)
    (tmp_path / "model").mkdir()
    folder = in_folder(tmp_path / "model")
    ask(folder)
    ask(folder)
    assert len(measured) == 1
    (folder / "config.json").write_text('{"model_type": "none"}')
    ask(folder)
    assert len(measured) == 2


def test_damaged_entries_are_none(source: Path, place: Path, measured: list[Collector]) -> None:
    expected = shown(ask(source))
    [entry] = place.iterdir()
    whole = entry.read_bytes()
    head, _, body = whole.partition(b"\n")
    told = json.loads(head)
    empty = json.dumps(told | {"check": crc32(b"{}")}).encode() + b"\n{}"
    rows = json.loads(body)
    rows["rows"][0]["statistics"].pop("mean")
    lacking = json.dumps(rows).encode()
    lacking = json.dumps(told | {"check": crc32(lacking)}).encode() + b"\n" + lacking
    damages = [
        b"", b"{", b"[]", b'{"question": 1}', b"\xff\xfe", b"[" * 100_000, b"null\n",
        empty, lacking,
        whole.replace(b"299.5", b"299.6"), body, head, json.dumps(told | {"states": 3}).encode(),
    ]  # fmt: skip
    damages += [whole[:at] for at in range(0, len(whole), 97)]
    for count, damage in enumerate(damages, 2):
        entry.write_bytes(damage)
        assert shown(ask(source)) == expected
        assert len(measured) == count, damage[:50]
    ask(source)
    assert len(measured) == len(damages) + 1


@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
def test_closed_folders_are_no_errors(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGH_CACHE_DIR", "/dev/null/nowhere")
    assert ask(source).total.count == 620


def test_the_oldest_go_when_there_is_too_much(
    source: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(source)
    [first] = place.iterdir()
    os.utime(first, (1, 1))
    monkeypatch.setattr(cache, "_MOST", first.stat().st_size + 100)
    ask(source, exact=True)
    [left] = place.iterdir()
    assert left != first
    monkeypatch.setattr(cache, "_MOST_ENTRY", 100)
    ask(source, "a.bias")
    assert list(place.iterdir()) == [left]


def test_infinite_sums_are_kept(
    tmp_path: Path, place: Path, measured: list[Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_RACY", -60.0)
    values = np.full(100, 1e308)
    values[:3] = np.nan, np.inf, -np.inf
    save_file({"a": values}, tmp_path / "m.safetensors")
    first = ask(tmp_path / "m.safetensors")
    second = ask(tmp_path / "m.safetensors")
    assert len(measured) == 1
    assert second.total.l1 == math.inf
    assert shown(second) == shown(first)
    [entry] = place.iterdir()
    for line in entry.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_what_is_no_path_is_not_kept(source: Path, place: Path) -> None:
    import torch

    for other in (VALUES, torch.nn.Linear(3, 4), weigh.open(source)):
        weigh.stats(other, cache=True)
    weigh.stats(source)
    assert not place.exists()


def test_small_sources_are_measured_each_time(
    source: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "WORTH", 1 << 24)
    ask(source)
    assert not place.exists()


def test_the_cache_is_where_caches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WEIGH_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == str(tmp_path / "xdg" / "weigh")
    for other in ("", "relative"):  # the specification has those ignored
        monkeypatch.setenv("XDG_CACHE_HOME", other)
        assert cache.folder() == str(tmp_path / ".cache" / "weigh")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache.folder() == str(tmp_path / "Library" / "Caches" / "weigh")


def test_the_command_line_has_it(tmp_path: Path, place: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"a.weight": np.arange(1 << 22, dtype=np.float32).reshape(2048, -1)}, path)
    time.sleep(2.1)
    first = run("stats", path)
    [entry] = place.iterdir()
    assert run("stats", path).stdout == first.stdout == run("stats", path, "--no-cache").stdout
    head, _, body = entry.read_bytes().partition(b"\n")
    found = json.loads(body)
    found["rows"][0]["statistics"]["mean"] = -7.0
    body = json.dumps(found).encode()
    told = json.loads(head) | {"check": crc32(body)}
    entry.write_bytes(json.dumps(told).encode() + b"\n" + body)
    told_again = json.loads(run("stats", path, "--json").stdout)
    assert told_again["tensors"][0]["mean"] == -7.0
    measured = json.loads(run("stats", path, "--json", "--no-cache").stdout)
    assert measured["tensors"][0]["mean"] == ((1 << 22) - 1) / 2
