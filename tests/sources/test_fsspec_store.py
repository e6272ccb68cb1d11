"""Places that only fsspec knows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import weigh
from weigh._errors import SourceError, UnsupportedError
from weigh._sources.places import open_place
from weigh._sources.remote import RemoteFolder

fsspec = pytest.importorskip("fsspec")

WEIGHT = np.random.default_rng(0).standard_normal((600, 500)).astype("f4")
SMALL = save({"fc.weight": WEIGHT, "fc.bias": np.arange(600, dtype="f4")})


@pytest.fixture
def memory() -> Iterator[object]:
    system = fsspec.filesystem("memory")
    system.pipe("/m/a.safetensors", SMALL)
    system.pipe("/m/deeper/x", b"x")
    yield system
    system.rm("/m", recursive=True)


def test_a_file(memory: object) -> None:
    net = weigh.open("memory://m/a.safetensors")
    assert np.array_equal(np.asarray(net["fc.weight"][300:310]), WEIGHT[300:310])


def test_a_file_on_this_machine_by_its_url(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(SMALL)
    net = weigh.open((tmp_path / "a.safetensors").as_uri())
    assert np.array_equal(np.asarray(net["fc.weight"][300:310]), WEIGHT[300:310])


@pytest.mark.parametrize("url", ["memory://m", "memory://m/"])
def test_a_folder(memory: object, url: str) -> None:
    folder = open_place(url)
    assert isinstance(folder, RemoteFolder)
    assert (folder.files(), folder.folders()) == (["a.safetensors"], ["deeper"])
    assert folder.folder("deeper").open("x").size == 1
    assert bytes(folder.open_all(["a.safetensors"])[0].view(0, 8)) == SMALL[:8]


def test_a_file_that_changes(memory: object) -> None:
    net = weigh.open("memory://m/a.safetensors")
    fsspec.filesystem("memory").pipe("/m/a.safetensors", SMALL)
    with pytest.raises(SourceError, match="changed while it was being read"):
        np.asarray(net["fc.weight"][300:310])


def test_what_is_not_there(memory: object) -> None:
    with pytest.raises(SourceError, match=r"memory://m/b: there is no such file"):
        weigh.open("memory://m/b")
    with pytest.raises(UnsupportedError, match="nosuch:// is no place"):
        weigh.open("nosuch://m/b")


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'weigh\[fsspec\]'"):
        weigh.open("memory://m/b")
