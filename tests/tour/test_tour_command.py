"""The tour as a command: what a terminal, a file and a closed pipe get of it."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_tour_digits import files, idx, lay

from weigh._errors import SourceError
from weigh._tour import Part, Step, TourResult, run_tour, to_json

WEIGH = (sys.executable, "-m", "weigh")


def run(*args: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*WEIGH, *map(str, args)],
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **env},
        timeout=120,
        check=False,
    )


def with_terminal(
    args: list[object], streams: tuple[str, ...], cwd: Path, **env: str
) -> tuple[str, str]:
    """Run with these streams on a pseudo-terminal, the others in a file: give both texts."""
    ours, theirs = pty.openpty()
    pieces: list[bytes] = []

    def listen() -> None:
        try:
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        except OSError:
            pass

    listener = threading.Thread(target=listen)
    listener.start()
    with (cwd / "written").open("wb") as file:
        chosen: dict[str, Any] = {
            name: theirs if name in streams else file for name in ("stdout", "stderr")
        }
        done = subprocess.run(
            [*WEIGH, *map(str, args)],
            **chosen,
            cwd=cwd,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **env},
            timeout=120,
            check=False,
        )
    os.close(theirs)
    listener.join(30)
    os.close(ours)
    assert done.returncode == 0
    return b"".join(pieces).decode().replace("\r\n", "\n"), (cwd / "written").read_text()


def on_screen(sent: str) -> str:
    """What is left on a terminal that was sent this, as one that knows these few codes."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", sent):
        if piece == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece == "\x1b[1A":
            row -= 1
        elif piece[0] != "\x1b":
            line = lines[row].ljust(column)
            lines[row] = line[:column] + piece + line[column + len(piece) :]
            column += len(piece)
        else:
            assert piece[-1] in "hlm", piece
    return "\n".join(lines)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return lay(tmp_path / "data", files(1000, 20), None)


def test_a_bar_on_a_terminal_leaves_the_text_to_its_file(tmp_path: Path, data: Path) -> None:
    bar, text = with_terminal(["tour", "--data", data, "--epochs", 3], ("stderr",), tmp_path)
    assert "epoch 1 of 3" in bar
    assert "1. The network's class" in text
    assert "29. The filters, before and after" in text
    assert "Train it" not in bar


def test_the_bar_does_not_run_into_the_text(tmp_path: Path, data: Path) -> None:
    args: list[object] = ["tour", "--data", data, "--epochs", 3, "--step", 26]
    both, _ = with_terminal(args, ("stdout", "stderr"), tmp_path, NO_COLOR="1", COLUMNS="80")
    assert both.startswith("26. Train it\n"), "no bar before there is something to wait for"
    assert both.index("> for epoch in range") < both.index("epoch 1 of 3")
    shown = on_screen(both)
    assert "━" not in shown
    assert re.findall(r"^epoch (\d): [\d.]+%$", shown, re.M) == ["1", "2", "3"]
    # Beside the bar, the terminal has what a file gets.
    file = run(*args, cwd=tmp_path).stdout.decode()
    assert shown == file


def test_a_step_is_written_while_it_runs(tmp_path: Path) -> None:
    seen: list[Step] = []
    emitted: list[Part] = []

    def so_far(step: Step) -> None:
        assert not emitted
        seen.append(step)

    run_tour(out=tmp_path, step=26, epochs=2, so_far=so_far, emit=emitted.append)
    code = [step.output for step in seen]
    assert seen[0].title == "Train it"
    assert code[:2] == ["", ""]
    assert [len(output.splitlines()) for output in code[2:]] == [1, 2]
    (whole,) = emitted
    assert isinstance(whole, Step)
    assert whole.output == code[-1]


@pytest.mark.parametrize(
    "command", ["show", "values NAME", "explain NAME", "--help", "formats", "show --json"]
)
def test_a_closed_pipe_is_no_failure(tmp_path: Path, command: str) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"fc.weight": np.zeros((4, 4), "f4")}, path)
    first, *rest = command.replace("NAME", "fc.weight").split()
    args = [first] if first in ("--help", "formats") else [first, str(path), *rest]
    line = f"{shlex.join([*WEIGH, *args])} | true; echo ${{PIPESTATUS[0]}}"
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_closed_pipe_surely_closed(tmp_path: Path) -> None:
    """The same without a race: the pipe's end is closed before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*WEIGH, "formats"], stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_shell_still_completes(tmp_path: Path) -> None:
    env = {"_WEIGH_COMPLETE": "bash_complete", "COMP_WORDS": "weigh to", "COMP_CWORD": "1"}
    assert run(cwd=tmp_path, **env).stdout == b"plain,tour\n"


def test_messages_end_and_name_what_is_in_the_way(tmp_path: Path) -> None:
    def refused(*args: object) -> str:
        done = run(*args, cwd=tmp_path)
        assert done.returncode == 2
        return done.stderr.decode()

    (tmp_path / "file").write_text("in the way")
    assert refused("tour", "extra") == (
        "weigh: Got unexpected extra argument (extra). Try 'weigh tour --help'.\n"
    )
    assert refused("tour", "--data", "file").startswith(
        "weigh: file: this is a file, not a folder. Name the folder"
    )
    with pytest.raises(SourceError, match="nothing: there is no such folder"):
        run_tour(out=tmp_path / "out", data=tmp_path / "nothing")


def test_pictures_in_ascii(tmp_path: Path, data: Path) -> None:
    done = run("tour", "--data", data, "--epochs", 1, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("ascii")
    assert r"\u" not in text
    assert re.search(r"^\. -[\d.]+   : -[\d.]+   o 0   \* \+[\d.]+   # \+[\d.]+$", text, re.M)


def test_tabs_stay_tabs_on_a_terminal(tmp_path: Path) -> None:
    args: list[object] = ["tour", "--no-train", "--step", 21]
    text, _ = with_terminal(args, ("stdout", "stderr"), tmp_path)
    assert "\x1b[1m21. All parameters" in text, "in colour"
    assert "conv1.weight \t\t torch.Size([6, 1, 5, 5])\n" in text


def printed_commands(text: str) -> list[str]:
    return re.findall(r"^\|?\s*\$ weigh (.*)$", text, re.M)


def test_printed_commands_work_for_a_folder_that_begins_with_a_dash(tmp_path: Path) -> None:
    done = run("tour", "--no-train", "--out=-odd name", cwd=tmp_path)
    commands = printed_commands(done.stdout.decode())
    assert len(commands) > 10
    for command in {commands[0], commands[-1]}:
        assert "'./-odd name/initial.safetensors'" in command
        assert run(*shlex.split(command), cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_a_file_does_not_say_is_announced(tmp_path: Path, lang: str) -> None:
    """The commands of steps 4 and 8 give `?` where the live network above them has values."""
    result = run_tour(out=tmp_path, train=False, lang=lang)
    for number, words in ((4, ["`?`"]), (8, ["`?`", "`inferred`"])):
        (step,) = [p for p in result.parts if isinstance(p, Step) and p.number == number]
        assert step.adds
        said = run(*shlex.split(step.adds.commands[0])[1:], cwd=tmp_path).stdout.decode()
        assert "?" in said
        for word in words:
            assert word in step.adds.text
            assert word.strip("`") in said


@pytest.mark.parametrize(("lang", "missing"), [("en", "is not in"), ("zh", "还不在")])
def test_a_step_alone_says_what_files_it_lacks(
    article: Callable[..., list[Part]], tmp_path: Path, lang: str, missing: str
) -> None:
    def adds(step: int, out: str) -> str:
        (part,) = article(step=step, out=tmp_path / out, train=step > 22, lang=lang, epochs=1)
        assert isinstance(part, Step)
        return part.adds.text if part.adds else ""

    assert missing in adds(8, "none")
    assert f"`{tmp_path / 'none'}`" in adds(8, "none")
    assert adds(7, "none") == "", "this one has no commands"
    wrote = adds(22, "some")
    assert missing not in wrote
    assert f"`{tmp_path / 'some'}`" in wrote
    assert "1" in wrote
    assert missing not in adds(8, "some"), "now the file is there"
    assert f"`{tmp_path / 'more'}`" in adds(23, "more"), "a step without words of its own"


def test_a_whole_tour_says_when_to_try_its_commands(article: Callable[..., list[Part]]) -> None:
    opening, *steps = article()
    assert "when it is over" in opening.text[0]  # type: ignore[union-attr]
    for step in steps:
        if isinstance(step, Step) and step.adds:
            assert "(" not in step.adds.text or "file" not in step.adds.text.split("(")[1]


@pytest.mark.parametrize(("lang", "never"), [("en", "the first 22"), ("zh", "前 22 步")])
def test_without_training_the_opening_counts_rightly(
    article: Callable[..., list[Part]], lang: str, never: str
) -> None:
    (text,) = article(lang=lang)[0].text  # type: ignore[union-attr]
    assert "22" in text
    assert never not in text


def test_files_of_an_older_tour_are_not_mixed_with_the_new(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    run_tour(out=out, data=data, epochs=3)
    other = {"epoch-7.safetensors": {"network": "mine"}, "epoch-8.safetensors": None}
    for name, metadata in other.items():
        save_file({"w": np.zeros(2, "f4")}, out / name, metadata)
    (out / "epoch-x.safetensors").write_text("mine")
    result = run_tour(out=out, data=data, epochs=1, seed=5, step=26)
    assert [path.name for path in result.files] == ["initial.safetensors", "epoch-1.safetensors"]
    left = {path.name for path in out.iterdir()}
    assert left == {*(path.name for path in result.files), *other, "epoch-x.safetensors"}
    assert load_file(out / "epoch-7.safetensors")["w"].shape == (2,)


def test_no_answer_right_is_an_accuracy(tmp_path: Path) -> None:
    contents = files(200, 20)
    contents["train-labels-idx1-ubyte"] = idx(np.zeros(200, np.uint8))
    contents["t10k-labels-idx1-ubyte"] = idx(np.ones(20, np.uint8))
    (tmp_path / "data").mkdir()
    result = run_tour(out=tmp_path / "out", data=lay(tmp_path / "data", contents, None), epochs=5)
    assert result.accuracy == 0
    assert len(result.moved) == 10


def test_training_alone_has_its_seconds(tmp_path: Path, data: Path) -> None:
    args = ("tour", "--data", data, "--epochs", 1, "--step", 26, "--json")
    done = run(*args, cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["seconds"] > 0
    assert document["accuracy"] is None
    assert run_tour(out=tmp_path, step=4).seconds is None


def test_the_words_of_a_step_speak_of_no_digits(tour: TourResult) -> None:
    """With ``--data`` the images may be of anything in ten classes."""
    for part in tour.parts:
        if isinstance(part, Step):
            prose = " ".join([part.title, *part.text, part.adds.text if part.adds else ""])
            assert "digit" not in re.sub(r"`[^`]*`", "", prose), part.number


def test_the_documents_keys(tour: TourResult) -> None:
    step = to_json(tour)["steps"][7]
    assert list(step["adds"]) == ["title", "text", "commands", "output"]
    assert step["adds"]["output"].splitlines()[0].split() == ["hyperparameter", "value", "known"]
    assert list(step["cells"][0]) == ["code", "output", "look"]


def test_what_weigh_says_is_wrapped_between_words(tour: TourResult) -> None:
    from weigh._tour import to_text

    (step,) = [p for p in tour.parts if isinstance(p, Step) and p.key == "matrices"]
    for width in (40, 80):
        lines = [line for line in to_text(step, width).splitlines() if line.startswith("| ")]
        said = [line for line in lines if "$ weigh" not in line]
        assert all(len(line) <= width for line in said)
        words = " ".join(line[2:] for line in said).split()
        assert step.adds
        assert words[-len(step.adds.output.split()) :] == step.adds.output.split()


@pytest.mark.parametrize("key", ["conv_repr", "axes", "matrices", "named"])
def test_english_output_is_introduced_in_chinese(key: str) -> None:
    from weigh._tour.words import language

    assert "Weigh 自己的英文输出" in language("zh").steps[key].adds


def test_chinese_uses_the_articles_terms() -> None:
    from weigh._tour.words import language

    words = language("zh").steps.values()
    prose = "".join("".join([each.title, *each.text, each.adds]) for each in words)
    for term in ("卷积核", "重写", "偏置", "点号", "文字"):
        assert term not in prose
    for term in ("滤波器", "覆盖", "偏差", "点表示法", "字符串表示", "4阶", "2阶", "输出×输入"):
        assert term in prose
    assert "rank 4" in language("en").steps["axes"].text[0]
