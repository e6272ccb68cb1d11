"""The benchmarks run, on files of 1 MB: how long anything takes is not looked at here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("torchinfo")
pytest.importorskip("matplotlib")
pytest.importorskip("moto")
pytest.importorskip("obstore")

ROOT = Path(__file__).resolve().parents[1]


sys.path.insert(0, str(ROOT))
from benchmarks import picture_rivals, pictures, rivals  # noqa: E402
from benchmarks.changes import CHANGES, network  # noqa: E402
from benchmarks.diff import _finds  # noqa: E402
from benchmarks.groups import same_tensors  # noqa: E402
from benchmarks.measure import CommandError, run  # noqa: E402


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
        "diff",
        "pictures",
    }
    networks = ["MLP of 1000 layers, on meta", "nn.Transformer()", "the article's network"]
    assert [(row["name"], row["against"]) for row in rows if row["group"] == "live"] == [
        (network, against)
        for network in networks
        for against in ("torchinfo", "torchinfo, all parameters")
    ]


def test_diff_is_held_against_reading_both_files(rows: list[dict[str, object]]) -> None:
    names = [row["name"] for row in rows if row["against"] == "reading both"]
    assert names == [
        f"bf16.{end}, {change}, {threads}"
        for end in ("safetensors", "zip.pt")
        for change in ("identical", "5 % changed", "all changed")
        for threads in ("1 thread", "2 threads")
    ]


def test_pictures_are_held_against_reading_the_file(rows: list[dict[str, object]]) -> None:
    names = {row["name"] for row in rows if row["against"] == "reading it mapped"}
    assert names == {
        *(f"matrix: {what}{end}" for what in ("first paint", "picture") for end in ("", " to PNG")),
        *(f"{what}: picture to SVG" for what in ("matrix", "filters")),
        *(f"filters: picture{end}" for end in ("", " to PNG")),
    }


def test_what_others_draw_is_drawn(cache: Path, rows: list[dict[str, object]]) -> None:
    """Of the programs of `make rivals`, those that are there."""
    against = {row["against"] for row in rows if row["group"] == "pictures"}
    for way, name in pictures.NAMES.items():
        if rivals.installed("matplotlib" if way == "pooled" else way) and "plots" not in way:
            assert name in against
    script = [sys.executable, "-P", picture_rivals.__file__]
    out = cache / "part-drawn.png"
    for way in ("matplotlib", "pooled"):
        run([*script, way, cache / "matrix-366.safetensors", out])
        assert out.read_bytes().startswith(b"\x89PNG")


def test_one_value_leaves_the_colours_of_the_others() -> None:
    """What the table of abilities says of Weigh is so."""
    done = run([sys.executable, "-m", "benchmarks.picture_abilities", "weigh"], keep=True)
    lines = [line.strip("| ").split(" | ") for line in done.output.splitlines()[2:]]
    found = dict(lines)
    assert int(found.pop("one value is 50: colours left for all others")) > 100
    assert found.pop("NaN, Inf and -Inf are told apart") == "3 of 3"
    far = [found.pop(one) for one in list(found) if "cones" in one or "how far apart" in one]
    assert all(int(one) > 50 for one in far)
    assert set(found.values()) == {"yes"}


def test_from_afar_only_headers_come(rows: list[dict[str, object]]) -> None:
    asked = {r["name"]: r for r in rows if r["group"] == "places" and r["unit"] == "requests"}
    assert set(asked) == {"62 files over http: asked", "62 files over s3: asked"}
    assert all(row["ours"] == [63] for row in asked.values())


def test_a_ratio_is_that_of_the_medians(rows: list[dict[str, object]]) -> None:
    for row in rows:
        if row["group"] != "live" and "error" not in row:  # there each side runs three times
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


def test_what_diff_does_not_find_is_told() -> None:
    said = {"changed": [], "unchanged": ["a", "b"], "story": ["Nothing changed."]}
    assert _finds("same")(json.dumps(said), "") == ""
    assert "where all changed" in _finds("all")(json.dumps(said), "")
    assert "where identical" in _finds("same")(json.dumps(said | {"added": ["c"]}), "")
    assert "where identical" in _finds("same")("{}", "")
    assert _finds("all")("Traceback", "") == "weigh diff prints no JSON"


def changed(change: str, dtype: str = "bfloat16") -> tuple[dict, dict]:
    def made() -> dict:
        return network(0.02, getattr(torch, dtype), 20, 16)

    return made(), CHANGES[change](made())


@pytest.mark.parametrize(
    ("change", "tensors", "values"),
    [("same", 0, 0), ("bit", 1, 1), ("value", 1, 1), ("some", 1, None), ("all", 20, None)],
)
def test_a_change_changes_what_it_says(change: str, tensors: int, values: int | None) -> None:
    old, new = changed(change)
    assert old.keys() == new.keys()
    differ = [int((old[name] != new[name]).sum()) for name in old]
    assert sum(count > 0 for count in differ) == tensors
    assert values is None or sum(differ) == values


def test_other_changes_keep_the_values() -> None:
    for change in ("prefixed", "renamed"):
        old, new = changed(change)
        assert not old.keys() & new.keys()
        assert all(torch.equal(a, b) for a, b in zip(old.values(), new.values(), strict=True))
    old, new = changed("permuted")
    assert all(torch.equal(old[name].flip(0), new[name]) for name in old)
    old, new = changed("recast")
    assert all(torch.equal(old[name].float(), new[name]) for name in old)
    old, new = changed("recast", "float32")
    assert all(torch.equal(old[name].bfloat16(), new[name]) for name in old)
    old, new = changed("grown")
    assert [n for n in old if old[n].shape != new[n].shape] == ["layers.10.fc.weight"]


def test_a_script_tells_what_changed(cache: Path, rows: list[dict[str, object]]) -> None:
    """The other side's script does what `weigh diff` is timed beside."""
    for end in ("safetensors", "zip.pt"):
        files = [cache / f"network-1MB.bf16.{end}.{c}/model.{end}" for c in ("base", "all", "same")]
        script = [sys.executable, "-P", rivals.__file__, "torch"]
        *lines, only = run([*script, *files[:2]], keep=True).output.splitlines()
        assert {line.split()[0] for line in lines} == {f"layers.{i}.fc.weight" for i in range(20)}
        assert all(0.005 < float(line.split()[2]) < 0.02 for line in lines)
        assert only == "[]"
        assert run([*script, files[0], files[2]], keep=True).output == "[]\n"


def test_a_command_may_be_to_end_with_a_status() -> None:
    command = [sys.executable, "-c", "raise SystemExit(1)"]
    run(command, status=1)
    with pytest.raises(CommandError, match="exit status 1"):
        run(command)


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
    (tmp_path / "network-1MB.bf16.zip.pt.all").mkdir()
    (tmp_path / "network-1MB.bf16.zip.pt.all/model.zip.pt").write_bytes(b"x")
    bench("--clean", "--cache", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_refused() -> None:
    done = bench("--runs", "0", check=False)
    assert done.returncode == 2
    assert "--runs" in done.stderr
