"""``weigh picture`` as a user meets it: whole processes, real files, a real terminal."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from test_cli import in_terminal, run


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("picture") / "a.safetensors"
    tensors = {
        "conv1.weight": rng.normal(size=(6, 1, 5, 5)).astype("f4"),
        "conv1.bias": rng.normal(size=6).astype("f4"),
        "fc.weight": rng.normal(size=(40, 150)).astype("f4"),
        "fc.empty": np.zeros((0, 3), "f4"),
    }
    tensors["fc.weight"][3, 3] = np.nan
    save_file(tensors, path)
    tensors["conv1.bias"] += 1
    save_file(tensors, path.with_name("b.safetensors"))
    return path


def refused(*args: object, says: str, **env: str) -> str:
    """See that a command ends with 2, one line, and no traceback."""
    done = run("picture", *args, **env)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert says in done.stderr
    last = done.stderr.strip().splitlines()
    assert len([line for line in last if not line.startswith(("Usage:", "Try "))]) == 1
    return done.stderr


def test_to_a_pipe(file: Path) -> None:
    done = run("picture", file, "conv1.weight")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("conv1.weight  float32  out_channels=6")
    assert "\x1b" not in done.stdout
    assert "A cell is one value; all 150 values were read." in lines
    assert any(line.startswith("Orange is positive, blue negative; limits ±") for line in lines)


def test_of_a_large_tensor_a_sample_comes_first(tmp_path: Path) -> None:
    shape = (8704, 8192)  # more than 2^26 values
    header = {"w": {"dtype": "U8", "shape": shape, "data_offsets": [0, shape[0] * shape[1]]}}
    text = json.dumps(header).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + shape[0] * shape[1])  # zeros, which take no room on the disk
    shown = in_terminal(100, "picture", path, "w", "--terminal", "half", lines=150)
    first, over, then = shown.partition("\x1b[J")
    assert "sampled: " in first
    assert over
    assert re.search(r"\x1b\[\d+A$", first)
    assert "sampled: " not in then
    assert f"all {shape[0] * shape[1]:,} values were" in then


def test_to_a_terminal(file: Path) -> None:
    shown = in_terminal(80, "picture", file, "conv1.weight", COLORTERM="truecolor")
    assert "\x1b[" in shown
    assert "conv1.weight" in shown
    plain = in_terminal(80, "picture", file, "conv1.weight", NO_COLOR="1")
    assert "\x1b[38" not in plain
    assert "\x1b[48" not in plain


@pytest.mark.parametrize("columns", [20, 40, 200])
def test_nothing_is_wider_than_the_terminal(file: Path, columns: int) -> None:
    shown = in_terminal(columns, "picture", file, "fc.weight", "--terminal", "plain", NO_COLOR="1")
    start = next(at for at, line in enumerate(shown.splitlines()) if line.startswith("Down:"))
    drawn = shown.splitlines()[1:start]
    assert all(len(line) <= columns for line in drawn if "float32" not in line)


def test_letters_that_an_old_terminal_has(file: Path) -> None:
    for args in (("conv1.weight",), ("conv1.bias", "--histogram"), ("*", "--ridge")):
        done = run(
            "picture", file, *args, LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.isascii()


@pytest.mark.parametrize("ending", ["svg", "PNG"])
def test_into_a_file(file: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"a.{ending}"
    done = run("picture", file, "fc.weight", "-o", out, "--theme", "dark")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == str(out)
    assert "Values that are 1 NaN, marked." in done.stdout
    if ending == "svg":
        ET.fromstring(out.read_text("utf-8"))
    else:
        with Image.open(io.BytesIO(out.read_bytes())) as image:
            assert image.text["Title"].startswith("fc.weight")


def test_what_is_wrong_is_one_line(file: Path, tmp_path: Path) -> None:
    refused(file, "conv1.weight", "-o", "a.gif", says="saved as SVG or PNG")
    refused(file, "conv1.weight", "-o", tmp_path / "no" / "a.svg", says="cannot be written")
    refused(file, "conv1.wieght", says="Did you mean 'conv1.weight'")
    refused(file, says="a picture is one of a tensor")
    refused(file, "fc.empty", says="no values to show")
    refused(file, "conv1", says="conv1")
    refused(file, "conv1.weight[9]", says="index 9 is outside axis 0")
    refused(file, "conv1.weight", "--layout", "a b -> a b", says="names 2 axes")
    refused(file, "conv1.weight", "--axes", "kernel_height", says="two names")
    refused(file, "conv1.weight", "--axes", "kernel_hight,kernel_width", says="Did you mean")
    refused(file, "conv1.weight", "--size", "c", says="a part and its size")
    refused(file, "conv1.weight", "--size", "c=0", says="a part and its size")
    refused(file, "conv1.weight", "--size", "c=2", says="Give a layout too")
    refused(file, "conv1.weight", "--scale", "row", says="or a number")
    for scale in ("0", "nan", "inf", "-1"):
        refused(file, "conv1.weight", f"--scale={scale}", says="a scale is")
    refused(file, "conv1.weight", "--cells", "0", says="--cells")
    refused(file, "conv1.weight", "--cells", "999999999", says="--cells")
    refused(file, "conv1.weight", "--reducer", "median", says="--reducer")
    refused(file, "conv1.weight", "--rgb", says="only an axis of 3")
    refused(file, "conv1.weight", "--histogram", "--ridge", says="do not go together")
    refused(file, "conv1.weight", "--beside", file, says="--beside is for --histogram")
    refused(file, "conv1.weight", "--symlog", says="--symlog")
    refused(file, "conv1.bias", "--ridge", "--whole", says="--whole is for --histogram")
    for asked in (
        "--rgb", "--layout=a -> a", "--axes=a,b", "--size=a=2", "--scale=filter", "--reducer=rms",
        "--cells=9",
    ):  # fmt: skip
        says = f"{asked.partition('=')[0]} is for pictures, not for distributions"
        refused(file, "conv1.bias", "--histogram", asked, says=says)
    other = tmp_path / "other.safetensors"
    save_file({"fc.weight": np.ones((2, 2), "f4")}, other)
    refused(file, "conv1.bias", "--histogram", "--beside", other, says=f"{other}: the network has")
    refused(file, "nothing*", "--ridge", says="nothing")
    refused(tmp_path / "none.safetensors", "a", says="none.safetensors")
    huge = ("--layout", "(r c) 1 h w -> (r h) (c w)", "--size", "c=999999999")
    refused(file, "conv1.weight", *huge, says="too large to be made")


KEYS = {
    "name", "file", "rows", "columns", "down", "right", "limit", "reducer", "per_cell", "values",
    "read", "nan", "posinf", "neginf", "below", "above", "caption",
}  # fmt: skip


def test_the_json_document(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.svg"
    told = json.loads(run("picture", file, "fc.weight", "--json", "-o", out).stdout)
    assert {*told} >= KEYS
    assert (told["name"], told["file"], told["nan"]) == ("fc.weight", str(out), 1)
    assert (told["values"], told["read"], told["reducer"], told["per_cell"]) == (
        6000,
        6000,
        None,
        1,
    )
    assert out.exists()
    shared = json.loads(
        run("picture", file, "fc.weight", "--json", "--cells", "10", "--reducer", "rms").stdout
    )
    assert (shared["rows"], shared["columns"], shared["reducer"]) == (10, 10, "rms")
    assert shared["per_cell"] == 4 * 15
    spread = json.loads(run("picture", file, "fc.weight", "--histogram", "--json").stdout)
    assert {*spread} >= {"name", "file", "caption"}


def test_arrangements(file: Path) -> None:
    def told(*args: str) -> tuple[int, int]:
        done = run("picture", file, *args, "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        return document["rows"], document["columns"]

    assert told("conv1.weight") == (11, 17)
    assert told("conv1.weight[0]") == (5, 5)
    assert told("conv1.weight[:, 0, 2, :]", "--axes", "out_channels,kernel_width") == (6, 5)
    assert told("conv1.weight[:, 0, 2, :]", "--axes", "kernel_width,out_channels") == (5, 6)
    layout = "(r c) 1 h w -> (r h) (c w)"
    assert told("conv1.weight", "--layout", layout, "--size", "c=2") == (17, 11)
    assert told("conv1.weight", "--layout", layout, "--size", "r=6") == (35, 5)
    assert told("fc.weight", "--cells", "8192") == (40, 150)


def test_scales_and_distributions(file: Path, tmp_path: Path) -> None:
    for scale in ("tensor", "filter", "network", "0.5"):
        done = run("picture", file, "conv1.weight", "--scale", scale)
        assert done.returncode == 0, done.stderr
    assert (
        "limits ±0.5, as asked for" in run("picture", file, "conv1.weight", "--scale", "0.5").stdout
    )
    beside = file.with_name("b.safetensors")
    done = run("picture", file, "conv1.bias", "--histogram", "--beside", beside, "--symlog")
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 values" in done.stdout
    ridge = tmp_path / "ridge.svg"
    assert run("picture", file, "*.weight", "--ridge", "-o", ridge).returncode == 0
    assert "conv1.weight" in ridge.read_text("utf-8")
    assert "conv1.bias" not in ridge.read_text("utf-8")


def test_a_name_from_a_file_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    name = "a\x1b]0;owned\x07\u202eb"
    save_file({name: np.ones((2, 2), "f4")}, tmp_path / "a.safetensors")
    out = tmp_path / "a.svg"
    for args in ((), ("--histogram",), ("--json",), ("-o", str(out))):
        done = run("picture", tmp_path / "a.safetensors", name, *args)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert "\u202e" not in done.stdout
        if args == ("--json",):
            assert json.loads(done.stdout)["name"] == name
    assert "\x1b" not in out.read_text("utf-8")
    refused(tmp_path / "a.safetensors", "a", says="a\\x1b")
