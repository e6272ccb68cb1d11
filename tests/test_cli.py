"""The command line as a user meets it: whole processes, real files, golden output."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from article import SHAPES, arrays, write_safetensors

GOLDEN = Path(__file__).parent / "golden"
WEIGH = (sys.executable, "-m", "weigh")


def run(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WEIGH, *map(str, args)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **env},
        timeout=60,
        check=False,
    )


def in_terminal(columns: int, *args: object, lines: int = 24, **env: str) -> str:
    """Run on a real pseudo-terminal of that many columns; give what it printed."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    full = {**os.environ, "TERM": "xterm-256color", **env}
    full.pop("COLUMNS", None)
    process = subprocess.Popen([*WEIGH, *map(str, args)], stdout=theirs, stderr=theirs, env=full)
    os.close(theirs)
    data = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        data += piece
    os.close(ours)
    assert process.wait(30) == 0
    return data.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_safetensors(tmp_path_factory.mktemp("article") / "net.safetensors", arrays())


@pytest.mark.parametrize(
    ("golden", "args"),
    [
        ("show", ["show"]),
        ("show_pattern", ["show", "*.bias"]),
        ("explain_conv2", ["explain", "conv2.weight"]),
        ("explain_fc1", ["explain", "fc1"]),
        ("values_filter", ["values", "conv1.weight[0]"]),
        ("values_bias", ["values", "conv2.bias"]),
    ],
)
def test_output_to_a_pipe(article: Path, golden: str, args: list[str]) -> None:
    command, *rest = args
    done = run(command, article, *rest)
    assert (done.returncode, done.stderr) == (0, "")
    path = GOLDEN / f"{golden}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(done.stdout, encoding="utf-8")
    assert done.stdout == path.read_text(encoding="utf-8")


def test_show_says_every_name_whole(article: Path) -> None:
    lines = run("show", article).stdout.splitlines()
    for name in SHAPES:
        assert any(line.startswith(f"{name} ") for line in lines)


def test_values_are_those_of_the_file(article: Path) -> None:
    document = json.loads(run("values", article, "conv2.weight[3, :2, -1]", "--json").stdout)
    np.testing.assert_array_equal(
        np.array(document["values"], dtype="f4"), arrays()["conv2.weight"][3, :2, -1]
    )
    assert [axis["name"] for axis in document["axes"]] == ["in_channels", "kernel_width"]


def test_full_prints_every_value(article: Path) -> None:
    short = run("values", article, "fc2.weight").stdout
    full = run("values", article, "fc2.weight", "--full").stdout
    assert "..." in short
    assert "..." not in full
    assert len(re.findall(r"-?\d+\.\d+", full)) == 60 * 120


def test_show_json_has_the_promised_keys(article: Path) -> None:
    document = json.loads(run("show", article, "--json").stdout)
    assert document["format"] == "safetensors"
    assert {"tensors", "parameters", "by_path", "unique_storage", "logical", "bytes"} <= set(
        document["counts"]
    )
    assert document["counts"]["parameters"] == 32998
    row = next(t for t in document["tensors"] if t["name"] == "conv2.weight")
    assert {
        "name": "conv2.weight",
        "layer": "conv2",
        "role": "parameter",
        "learnable": True,
        "dtype": "float32",
        "shape": [12, 6, 5, 5],
        "values": 1800,
        "bytes": 7200,
        "tied_to": None,
    }.items() <= row.items()
    assert set(row["axes"][0]) == {"name", "size", "meaning"}
    layer = next(layer for layer in document["layers"] if layer["path"] == "conv2")
    assert (layer["kind"], layer["kind_status"]) == ("Conv2d", "inferred")
    assert layer["hyperparameters"]["stride"]["status"] == "unknown"
    assert layer["hyperparameters"]["kernel_size"]["value"] == [5, 5]
    assert sum(t["values"] for t in document["tensors"]) == document["counts"]["by_path"]


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_terminal_cuts_nothing(article: Path, columns: int) -> None:
    text = in_terminal(columns, "show", article, NO_COLOR="1")
    assert "\x1b" not in text
    words = " ".join(text.split())
    for name, shape in SHAPES.items():
        assert name in words
        assert f"={shape[0]}" in words
    table = text.split("\n)\n")[1]
    assert all(len(line) <= columns for line in table.splitlines())


def test_a_wide_terminal_has_colour_and_the_same_words(article: Path) -> None:
    text = in_terminal(250, "show", article)
    assert "\x1b[1m" in text
    assert re.sub(r"\x1b\[\d*m", "", text) == run("show", article).stdout


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_turned_off(article: Path, env: dict[str, str]) -> None:
    assert "\x1b" not in in_terminal(250, "show", article, **env)


def test_a_reader_that_stops_is_no_error(article: Path) -> None:
    tensors = {f"layer{i}.weight": np.zeros((2, 2), "f4") for i in range(5000)}
    big = write_safetensors(article.with_name("big.safetensors"), tensors)
    command = f"{sys.executable} -m weigh show {big} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("?(\n", "")


def test_without_a_command_there_is_help() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: weigh")
    assert "\\n" not in done.stdout


def test_an_index_of_an_index(article: Path) -> None:
    chained = run("values", article, "conv2.weight[3][:2, 1][..., 0]").stdout
    assert chained == run("values", article, "conv2.weight[3, :2, 1, 0]").stdout


def test_a_name_that_holds_brackets(tmp_path: Path) -> None:
    tensors = {"br[0].weight": np.ones((2, 2), "f4")}
    path = write_safetensors(tmp_path / "brackets.safetensors", tensors)
    assert run("values", path, "br[0].weight[1]").stdout == "tensor([1., 1.])\n"
    assert run("explain", path, "br[0].weight").returncode == 0


def test_explain_takes_the_name_of_a_slice(article: Path) -> None:
    assert run("explain", article, "conv1.weight[0]").stdout.startswith("conv1.weight: ")


def refused(*args: object) -> str:
    """Run what must fail: one line on stderr, nothing on stdout, status 2."""
    done = run(*args)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("weigh: ")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_names_that_are_nearly_right(article: Path) -> None:
    assert "Did you mean 'show'?" in refused("shwo", article)
    assert "'conv1.weight'" in refused("values", article, "conv1.wieght")
    assert "'conv1'" in refused("show", article, "convv1")
    assert "'conv2.weight'" in refused("explain", article, "conv2.weigth")
    assert "'net.safetensors'" in refused("show", article.with_name("net.safetensor"))


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model"])
def test_what_stands_in_for_a_file_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n")
    assert "a Git LFS pointer, not the file itself. Run git lfs pull" in refused("show", path)
    path.write_text("\n<!DOCTYPE html>\n<html><body>Not found</body></html>")
    assert "a web page, not a checkpoint" in refused("show", path)


def test_usage(article: Path) -> None:
    assert "SOURCE" in refused("show")
    assert "--fodl" in refused("show", article, "--fodl")
    assert "is a layer" in refused("values", article, "conv1")
    assert "axis 0" in refused("values", article, "conv1.weight[6]")
    assert "integers" in refused("values", article, "conv1.weight[a]")
    assert "step" in refused("values", article, "conv1.weight[::-1]")
    assert "4 axes" in refused("values", article, "conv1.weight[0,0,0,0,0]")


def test_sources_that_are_none(article: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello, this is no checkpoint")
    os.mkfifo(tmp_path / "fifo")
    assert "no such file" in refused("show", tmp_path / "missing.pt")
    assert "empty" in refused("show", tmp_path / "empty")
    assert "not a checkpoint" in refused("show", tmp_path / "text")
    assert str(tmp_path) in refused("show", tmp_path)
    assert "fifo" in refused("show", tmp_path / "fifo")
    refused("show", "/dev/zero")
    refused("show", "https://example.org/x.safetensors")
    refused("show", article, "")


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    evil = "conv\x1b[2J\x1b]0;owned\x07\n.weight"
    path = write_safetensors(tmp_path / "evil.safetensors", {evil: np.zeros((2, 2), "f4")})
    for args in (["show"], ["values", "x"], ["show", "x"], ["explain", evil.rpartition(".")[0]]):
        done = run(args[0], path, *args[1:])
        assert "\x1b" not in done.stdout + done.stderr
        assert "\x07" not in done.stdout + done.stderr
    shown = run("show", path).stdout
    assert r"\x1b[2J" in shown
    assert json.loads(run("show", path, "--json").stdout)["tensors"][0]["name"] == evil


def test_help_has_examples_and_starts_nothing_heavy() -> None:
    for command in ("show", "values", "explain", "stats", "check", "rules", "tour"):
        done = run(command, "--help")
        assert done.returncode == 0
        assert f"weigh {command} " in done.stdout
    assert run("--version").stdout.startswith("weigh")


def test_an_unwritable_output_is_one_line(article: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*WEIGH, "show", str(article)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr


def test_an_unwritable_error_output_keeps_the_status() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*WEIGH, "show", "nowhere.pt"], stderr=full, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize(
    "command", [["show"], ["values", "conv1.bias"], ["explain", "conv1"], ["show", "--json"]]
)
def test_a_closed_output_is_one_line(article: Path, command: list[str]) -> None:
    shell = f'{sys.executable} -m weigh {command[0]} "$@"'
    given = [str(article), *command[1:]]
    for closed, lines in ((">&-", 1), ("2>&-", 0), (">&- 2>&-", 0)):
        done = subprocess.run(
            ["bash", "-c", f"{shell} {closed}", "bash", *given],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == (2 if closed.startswith(">") else 0)
        assert done.stderr.count("\n") == lines, done.stderr
        assert "Traceback" not in done.stderr


def test_a_name_like_an_option_is_explained(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.safetensors", {"-dash": np.ones(1, "f4")})
    assert "goes after '--'" in refused("values", path, "-dash")
    assert run("values", path, "--", "-dash").stdout == "tensor([1.])\n"


@pytest.mark.parametrize("command", [["show"], ["explain", "conv1"], ["show", "--json"]])
def test_no_array_library_is_loaded_to_show(article: Path, command: list[str]) -> None:
    code = (
        "import sys, weigh._cli\n"
        "try: weigh._cli.main(sys.argv[1:])\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "heavy = {'torch', 'numpy', 'rich', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    name, *rest = command
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(article), *rest],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_reading_values_loads_no_torch(article: Path) -> None:
    code = (
        "import sys, weigh\n"
        f"weight = weigh.open({str(article)!r}).conv1.weight\n"
        "repr(weight), weight.read()\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
