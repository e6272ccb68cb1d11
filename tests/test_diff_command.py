"""``weigh diff`` as a user meets it: whole processes, real files, Git itself."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from test_cli import WEIGH, in_terminal, refused, run


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"conv.weight": (8, 3, 3, 3), "conv.bias": (8,), "fc.weight": (20, 128)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diff")
    a = weights()
    save_file(a, folder / "a.safetensors")
    save_file(a, folder / "copy.safetensors")
    b = a | {"fc.weight": a["fc.weight"] + np.float32(0.5) * (a["fc.weight"] > 1)}
    save_file(b, folder / "b.safetensors")
    for step in (1, 2, 10):
        moved = {n: v + np.float32(0.01 * step) for n, v in a.items()}
        save_file(moved | {"conv.bias": a["conv.bias"]}, folder / f"epoch-{step}.safetensors")
    return folder


def test_two_files_that_differ(files: Path) -> None:
    done = run("diff", files / "a.safetensors", files / "b.safetensors")
    assert (done.returncode, done.stderr) == (1, "")
    assert "Only fc changed" in done.stdout
    assert re.search(r"^fc\.weight +2,560 +1\d\.\d %", done.stdout, re.MULTILINE)
    assert "Unchanged, bit for bit: 2 tensors with 224 values." in done.stdout
    assert "\x1b" not in done.stdout


def test_the_exit_status(files: Path) -> None:
    a, b, copy = (files / f"{name}.safetensors" for name in ("a", "b", "copy"))
    assert run("diff", a, copy).returncode == 0
    assert run("diff", a, b, "--exit-code").returncode == 1
    assert run("diff", a, b, "--no-exit-code").returncode == 0
    assert run("diff", a, b, "--only", "conv").returncode == 0


def test_the_json_document(files: Path) -> None:
    done = run("diff", files / "a.safetensors", files / "b.safetensors", "--json")
    told = json.loads(done.stdout)
    [changed] = told["changed"]
    a, b = (weights()["fc.weight"].astype(float) for _ in range(2))
    b = (weights()["fc.weight"] + np.float32(0.5) * (weights()["fc.weight"] > 1)).astype(float)
    assert (changed["name"], changed["count"]) == ("fc.weight", 2560)
    assert changed["changed_values"] == int((a != b).sum())
    assert changed["relative_change"] == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a))
    cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    assert changed["cosine"] == pytest.approx(cosine)
    assert changed["max_abs"] == np.abs(b - a).max()
    assert changed["max_at"] == list(np.unravel_index(np.abs(b - a).argmax(), a.shape))
    assert sorted(told["unchanged"]) == ["conv.bias", "conv.weight"]
    for empty in ("added", "removed", "renamed", "reshaped", "recast", "relaid", "unread"):
        assert told[empty] == []
    assert {one["status"] for one in told["story"]} == {"inferred"}
    assert told["different"] is True


def test_csv_has_a_line_a_tensor(files: Path) -> None:
    done = run("diff", files / "a.safetensors", files / "b.safetensors", "--csv")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert [row["kind"] for row in rows.values()] == ["unchanged", "unchanged", "changed"]
    assert float(rows["fc.weight"]["max_abs"]) == pytest.approx(0.5, rel=1e-6)


def test_filters_are_told_by_axis(files: Path) -> None:
    done = run("diff", files / "a.safetensors", files / "epoch-1.safetensors",
               "--by", "out_channels", "--only", "conv.weight")  # fmt: skip
    assert "8 of 8 positions of out_channels changed" in done.stdout


def test_rows_are_sorted_and_cut(files: Path) -> None:
    two = files / "a.safetensors", files / "epoch-1.safetensors"
    done = run("diff", *two, "--sort", "norm_change", "--top", "1")
    assert "1 of 2 are shown." in done.stdout
    assert "fc.weight" in done.stdout
    assert "Did you mean 'max_abs'?" in refused("diff", *two, "--sort", "maxabs")


def test_several_checkpoints_are_followed_in_the_order_of_their_numbers(files: Path) -> None:
    epochs = sorted(str(path) for path in files.glob("epoch-*"))
    done = run("diff", *epochs, "--json")
    told = json.loads(done.stdout)
    names = [Path(source).stem for source in told["sources"]]
    assert names == ["epoch-1", "epoch-2", "epoch-10"]
    assert "order of their numbers" in told["notes"][0]
    still = next(one for one in told["tensors"] if one["name"] == "conv.bias")
    assert (still["from_first"], still["stopped"]) == ([0.0, 0.0], 0)
    text = run("diff", *epochs)
    assert re.search(r"^conv\.bias .*never moved", text.stdout, re.MULTILINE)
    assert text.returncode == 1
    table = list(csv.DictReader(io.StringIO(run("diff", *epochs, "--csv").stdout)))
    assert len(table) == 3


def test_wrong_use_is_one_line(files: Path, tmp_path: Path) -> None:
    a = files / "a.safetensors"
    assert "two networks or more" in refused("diff", a)
    assert "broken" in refused("diff", a, _broken(tmp_path))
    assert "no tensor matches" in refused("diff", a, a, "--only", "nothing")
    assert "out_channels" in refused("diff", a, a, "--by", "out_chanels")
    assert "do not go together" in refused("diff", a, a, "--json", "--csv")


def _broken(folder: Path) -> Path:
    path = folder / "broken.safetensors"
    path.write_bytes((1000).to_bytes(8, "little") + b"{")
    return path


def test_a_narrow_terminal_shows_every_number(files: Path) -> None:
    text = in_terminal(50, "diff", files / "a.safetensors", files / "b.safetensors",
                       "--no-exit-code")  # fmt: skip
    assert "fc.weight" in text
    assert "relative change" in text
    lines = re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()
    assert max(len(line) for line in lines if "safetensors" not in line) <= 50


@pytest.mark.skipif(sys.platform == "win32", reason="the recipe is written for a POSIX shell")
class TestGit:
    """The recipes of docs/git.md, run by Git."""

    @pytest.fixture
    def repository(self, tmp_path: Path, files: Path) -> Path:
        self.git(tmp_path, "init", "-q")
        self.git(tmp_path, "config", "user.email", "weigh@example.org")
        self.git(tmp_path, "config", "user.name", "Weigh")
        (tmp_path / ".gitattributes").write_text("*.safetensors diff=weigh\n")
        for name in ("a", "b"):
            data = (files / f"{name}.safetensors").read_bytes()
            (tmp_path / "model.safetensors").write_bytes(data)
            self.git(tmp_path, "add", "-A")
            self.git(tmp_path, "commit", "-qm", name)
        return tmp_path

    @staticmethod
    def git(folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_PAGER": "cat"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @staticmethod
    def recipe(line: str) -> str:
        """Take a command out of the documentation, with this very weigh in it."""
        page = (Path(__file__).parent.parent / "docs" / "git.md").read_text(encoding="utf-8")
        [found] = re.findall(rf"^git config {re.escape(line)} '(.*)'$", page, re.MULTILINE)
        return found.replace("weigh ", f"{' '.join(WEIGH)} ")

    def test_git_diff_tells_the_story(self, repository: Path) -> None:
        self.git(repository, "config", "diff.weigh.command", self.recipe("diff.weigh.command"))
        told = self.git(repository, "diff", "HEAD~1", "HEAD")
        assert "Only fc changed" in told
        assert "New: 3 tensors" in self.git(repository, "show", "--ext-diff", "HEAD~1")
        assert "Only fc changed" in self.git(repository, "log", "-p", "--ext-diff", "-1")

    def test_git_diff_shows_lines(self, repository: Path) -> None:
        self.git(repository, "config", "diff.weigh.textconv", self.recipe("diff.weigh.textconv"))
        told = self.git(repository, "diff", "HEAD~1", "HEAD")
        lines = [line for line in told.splitlines() if line[:1] in "+-" and ".weight" in line]
        assert [line.split(",")[0] for line in lines] == ["-fc.weight", "+fc.weight"]

    def test_git_difftool_shows_one_file(self, repository: Path) -> None:
        self.git(repository, "config", "difftool.weigh.cmd", self.recipe("difftool.weigh.cmd"))
        told = self.git(repository, "difftool", "--no-prompt", "--tool=weigh", "HEAD~1")
        assert "Only fc changed" in told
