"""The benchmarks run, on files of 1 MB: how long anything takes is not looked at here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("torchinfo")
pytest.importorskip("moto")
pytest.importorskip("obstore")

ROOT = Path(__file__).resolve().parents[1]


sys.path.insert(0, str(ROOT))
from benchmarks.groups import same_tensors  # noqa: E402


def bench(*options: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=check)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def tiny(cache: Path) -> tuple[str | Path, ...]:
    return ("--size", "1", "--runs", "1", "--cache", cache)


@pytest.fixture(scope="module")
def rows(tiny: tuple[str | Path, ...]) -> list[dict[str, object]]:
    document = json.loads(bench(*tiny, "--json").stdout)
    assert document["size_mb"] == document["runs"] == 1
    return document["rows"]


def test_every_comparison_is_made(rows: list[dict[str, object]]) -> None:
    assert [row for row in rows if "error" in row] == []
    assert [row["group"] for row in rows].count("listing") == 8
    assert [row["group"] for row in rows].count("formats") == 10
    assert {row["group"] for row in rows} == {
        "cold",
        "listing",
        "formats",
        "slice",
        "live",
        "places",
        "stats",
        "check",
    }
    networks = ["MLP of 1000 layers, on meta", "nn.Transformer()", "the article's network"]
    assert [(row["name"], row["against"]) for row in rows if row["group"] == "live"] == [
        (network, against)
        for network in networks
        for against in ("torchinfo", "torchinfo, all parameters")
    ]


def test_from_afar_only_headers_come(rows: list[dict[str, object]]) -> None:
    asked = {r["name"]: r for r in rows if r["group"] == "places" and r["unit"] == "requests"}
    assert set(asked) == {"62 files over http: asked", "62 files over s3: asked"}
    assert all(row["ours"] == [63] for row in asked.values())


def test_a_ratio_is_that_of_the_medians(rows: list[dict[str, object]]) -> None:
    for row in rows:
        if row["group"] != "live":  # there each side runs three times
            assert row["ratio"] == row["ours"][0] / row["theirs"][0]  # type: ignore[index]


@pytest.mark.parametrize("end", ["safetensors", "zip.pt", "legacy.pt"])
def test_the_files_hold_what_both_sides_are_to_list(
    cache: Path, rows: list[dict[str, object]], end: str
) -> None:
    """A row of ``listing`` without an error says already that both lists are equal."""
    show = [sys.executable, "-m", "weigh", "show", cache / f"many-1MB.{end}", "--json"]
    shown = json.loads(subprocess.run(show, capture_output=True, text=True, check=True).stdout)
    listed = {(t["name"], t["dtype"], tuple(t["shape"])) for t in shown["tensors"]}
    assert listed == {(f"blocks.{i}.fc.weight", "float32", (5, 100)) for i in range(500)}


def test_lists_that_differ_are_told_apart() -> None:
    ours = {"tensors": [{"name": "a", "dtype": "float32", "shape": [2, 3]}]}
    same, other = [["a", "float32", [2, 3]]], [["a", "float32", [3, 2]]]
    assert same_tensors(json.dumps(ours), json.dumps(same)) == ""
    assert "differ in 2 tensors" in same_tensors(json.dumps(ours), json.dumps(other))


def test_the_table_says_what_machine_and_what_target(
    tiny: tuple[str | Path, ...], rows: list[dict[str, object]]
) -> None:
    machine, settings, empty, titles, time, peak = bench(
        *tiny, "--only", "cold"
    ).stdout.splitlines()
    assert machine.startswith("python 3.")
    assert "cores" in machine
    assert "numpy" in machine
    assert "1 alternating runs" in settings
    assert empty == ""
    assert titles.split()[:2] == ["what", "weigh"]
    assert "at most 1.6 x" in time
    assert time.split()[-1] in ("yes", "NO")
    assert " MB " in peak


def test_a_command_that_fails_is_a_row_that_says_why(tmp_path: Path) -> None:
    for name in ("embedding-1MB.safetensors", "embedding-0.01MB.safetensors"):
        (tmp_path / name).write_bytes(b"no checkpoint")
    done = bench("--size", "1", "--runs", "1", "--cache", tmp_path, "--only", "slice")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("slice of 1 MB against of 0.01 MB FAILED: weigh: ")
    assert str(tmp_path) in last


def test_clean_deletes_the_files(tmp_path: Path) -> None:
    (tmp_path / "many-1MB.zip.pt").write_bytes(b"x")
    bench("--clean", "--cache", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_refused() -> None:
    done = bench("--runs", "0", check=False)
    assert done.returncode == 2
    assert "--runs" in done.stderr
