"""The cache: what is asked again is told at once, and never of a file that changed."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import weigh
from test_cli import run

SIZE = 1 << 22  # float32 values: more than what is measured each time


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "m.safetensors"
    save_file({"a.weight": np.arange(SIZE, dtype=np.float32).reshape(2048, -1)}, path)
    time.sleep(2.1)  # a file that just changed is not kept
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEIGH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def mean_of(path: Path, *options: str) -> float:
    done = run("stats", path, "--json", *options)
    assert done.returncode == 0, done.stderr
    found: float = json.loads(done.stdout)["tensors"][0]["mean"]
    return found


def spoil(place: Path) -> None:
    """Let every entry say another mean, so that it shows where an answer comes from."""
    for entry in place.iterdir():
        found = json.loads(entry.read_text())
        found["report"]["rows"][0]["statistics"]["mean"] = -7.0
        entry.write_text(json.dumps(found))


def test_an_unchanged_file_is_answered_from_the_cache(made: Path, place: Path) -> None:
    true = mean_of(made)
    [entry] = place.iterdir()
    assert entry.stat().st_mode & 0o777 == 0o600
    assert run("stats", made).stdout == run("stats", made, "--no-cache").stdout
    spoil(place)
    assert mean_of(made) == -7.0
    assert mean_of(made, "--no-cache") == true
    assert mean_of(made, "--exact") == true  # another question
    assert len(list(place.iterdir())) == 2


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(np.float32(1).tobytes())


def rewrite_and_set_back(path: Path) -> None:
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_name("other")
    shutil.copy2(path, other)
    other.replace(path)


@pytest.mark.parametrize("change", [rewrite, rewrite_and_set_back, replace])
def test_a_changed_file_is_measured_again(
    made: Path, place: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "m.safetensors"
    shutil.copy2(made, path)
    mean_of(path)
    if not list(place.iterdir() if place.exists() else ()):
        time.sleep(2.1)
        mean_of(path)
    spoil(place)
    assert mean_of(path) == -7.0
    change(path)
    assert mean_of(path) != -7.0


def test_damaged_entries_and_closed_folders_are_no_errors(
    made: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = mean_of(made)
    [entry] = place.iterdir()
    for damage in (b"", b"{", b"[]", b'{"question": 1}', b"\xff\xfe", b"[" * 100_000):
        entry.write_bytes(damage)
        assert mean_of(made) == true
    monkeypatch.setenv("WEIGH_CACHE_DIR", "/dev/null/nowhere")
    assert mean_of(made) == true


def test_small_sources_are_measured_each_time(place: Path, tmp_path: Path) -> None:
    save_file({"a": np.zeros(10, np.float32)}, tmp_path / "small.safetensors")
    mean_of(tmp_path / "small.safetensors")
    assert not place.exists()


def test_the_library_has_no_cache(made: Path, place: Path) -> None:
    weigh.stats(made)
    assert not place.exists()
