"""The contract suite itself: a reader that breaks it is caught; packages that add formats."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weigh._errors import WeighError
from weigh._registry import FORMATS, Format
from weigh.testing import FormatContract, nothing_runs, open_with
from writers import WRITERS

ROWS = {row.name: row for row in FORMATS}


READERS = """
from weigh.plugins import *
import weigh._sources.safetensors as good

def crashes(source):
    if source.size < 300:
        raise KeyError("cut short")
    return good.read(source)

def runs(source):
    exec("1")
    return good.read(source)

def loads(source):
    import numpy
    return good.read(source)

def miscounts(source):
    facts = good.read(source)
    more = Accounts(facts.accounts.total + 1, *[0] * 4)
    return Facts("bad", source.name, facts.tensors, accounts=more)

class Whole:
    def __init__(self, values):
        self.values, self.dtype, self.shape = values, values.dtype, values.shape
        self.extent = values.extent
    def read(self, region):
        return self.values.read(Region.whole(self.shape))

def ignores_the_slice(source):
    facts = good.read(source)
    tensors = [FoundTensor(t.name, Whole(t.values)) for t in facts.tensors]
    return Facts("bad", source.name, tuple(tensors), accounts=facts.accounts)

def forgets_one(source):
    facts = good.read(source)
    return Facts("bad", source.name, facts.tensors[1:], accounts=facts.accounts)
"""


@pytest.mark.parametrize(
    ("reader", "caught_by"),
    [
        ("crashes", "test_a_file_cut_short_is_an_error_of_weighs"),
        ("runs", "test_nothing_of_the_file_is_run"),
        ("loads", "test_listing_loads_nothing_heavy"),
        ("miscounts", "test_every_byte_is_accounted_for"),
        ("ignores_the_slice", "test_a_slice_is_that_part_of_the_whole"),
        ("forgets_one", "test_every_value_is_read"),
    ],
)
def test_the_contract_has_teeth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, caught_by: str
) -> None:
    (tmp_path / "bad_readers.py").write_text(READERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    row = replace(ROWS["safetensors"], reader=f"bad_readers:{reader}")
    suite = type("Bad", (FormatContract,), {"format": row})()
    example, expected = WRITERS["safetensors"](tmp_path)
    given: dict[str, Any] = {"example": example, "expected": expected, "tmp_path": tmp_path}
    test: Callable[..., None] = getattr(suite, caught_by)
    names = test.__code__.co_varnames[1 : test.__code__.co_argcount]
    with pytest.raises((AssertionError, KeyError)):
        test(**{name: given[name] for name in names})


def test_what_runs_is_seen(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"open .*'w'"), nothing_runs():
        (tmp_path / "written").write_text("x")
    with pytest.raises(AssertionError, match="exec"), nothing_runs():
        exec("1")
    with nothing_runs() as seen:
        (tmp_path / "written").read_text()
    assert seen == []


def test_a_row_is_told_by_what_it_says() -> None:
    def fits(row: Format, head: bytes = b"", name: str = "", members: tuple[str, ...] = ()) -> bool:
        return row.fits(head, name, lambda: members)

    zipped = Format("z", "", "", starts=((0, b"PK"),), members=("*.npy",))
    assert fits(zipped, b"PK\3\4", members=("a.npy",))
    assert not fits(zipped, b"PK\3\4", members=("a.txt",))
    rooted = Format("r", "", "", starts=((0, b"PK"),), members=("*/mark",))
    assert fits(rooted, b"PK\3\4", members=("a/mark",))
    assert not fits(rooted, b"PK\3\4", members=("a/extra/mark",))
    named = Format("n", "", "", endings=(".toy",))
    assert fits(named, b"anything", "Model.TOY")
    assert not fits(named, b"anything", "model.toys")
    folder = Format("f", "", "", files=("*.index.json",))
    assert folder.fits_folder(["a", "model.index.json"])
    assert not folder.fits_folder(["model.json"])
    assert not fits(folder, b"", "model.index.json")
    assert not fits(Format("nothing", "", ""))


EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
EXAMPLE = EXAMPLES / "weigh-llama2c"


@pytest.mark.parametrize("name", ["weigh-llama2c", "weigh-lora"])
def test_the_example_keeps_its_contract(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=EXAMPLES / name,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example packages are installed."""
    folder = tmp_path_factory.mktemp("installed")
    # Not in the checkout: setuptools leaves what it builds beside the source.
    names = ("weigh-llama2c", "weigh-lora")
    sources = [shutil.copytree(EXAMPLES / name, folder / name) for name in names]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    target = folder / "target"
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", target, *sources], check=True
    )
    return target


def weigh(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weigh", *arguments],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_package_adds_its_format(installed: Path, tmp_path: Path) -> None:
    import struct

    path = tmp_path / "tiny.bin"
    header = struct.pack("<4sii6iB", b"24ka", 1, 2, 2, 1, 1, 1, 3, 4, 1).ljust(256, b"\0")
    path.write_bytes(header + np.arange(40, dtype="<f4").tobytes())
    assert "llama2c" in weigh(installed, "formats").stdout
    shown = weigh(installed, "show", str(path))
    assert shown.returncode == 0, shown.stderr
    assert "tied to tok_embeddings.weight" in shown.stdout
    values = weigh(installed, "values", str(path), "layers.0.attention_norm.weight")
    assert "[0., 1.]" in values.stdout
    assert weigh(tmp_path, "show", str(path)).returncode == 2, "it is the package that reads it"


def test_an_installed_package_adds_its_rule(installed: Path, tmp_path: Path) -> None:
    path = WRITERS["safetensors"](tmp_path)[0]
    assert "idle-adapter" in weigh(installed, "check", str(path), "--json").stdout
    assert "idle-adapter" in weigh(installed, "rules").stdout
    assert weigh(installed, "rules", "idle-adapter").stdout.startswith("# idle-adapter\n")
    assert weigh(tmp_path, "rules", "idle-adapter").returncode == 2


def test_a_broken_package_harms_no_other(installed: Path, tmp_path: Path) -> None:
    dist = tmp_path / "broken-1.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (dist / "entry_points.txt").write_text("[weigh.formats]\nbroken = no_such_module:FORMAT\n")
    listed = weigh(tmp_path, "formats")
    assert listed.returncode == 0
    assert "The format broken of broken (ModuleNotFoundError" in listed.stdout
    (tmp_path / "x.bin").write_bytes(b"nothing known")
    refused = weigh(tmp_path, "show", str(tmp_path / "x.bin"))
    assert refused.returncode == 2
    assert "formats of other packages failed: broken of broken" in refused.stderr


def test_two_formats_of_one_name_are_refused(tmp_path: Path) -> None:
    dist = tmp_path / "clash-1.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: clash\nVersion: 1\n")
    (dist / "entry_points.txt").write_text("[weigh.formats]\nclash = clash:FORMAT\n")
    (tmp_path / "clash.py").write_text(
        "from weigh.plugins import Format\nFORMAT = Format('safetensors', 'x', 'clash:read')\n"
    )
    refused = weigh(tmp_path, "formats")
    assert refused.returncode == 2
    assert "two formats are called 'safetensors'; saw one of weigh and one of clash" in (
        refused.stderr
    )


def test_a_missing_library_names_what_to_install(tmp_path: Path) -> None:
    row = Format("toy", "", "no_such_library:read", extra="toy")
    with pytest.raises(WeighError, match=r"toy needs a library.*pip install 'weigh\[toy\]'"):
        open_with(row, __file__)
