"""The package as a user gets it: built, installed alone in a clean environment, and used."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@dataclass(frozen=True)
class Install:
    """A clean environment that holds the wheel and what it requires, nothing else."""

    folder: Path

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        # Away from the checkout, and deaf to what the tests' own environment says.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the checkout, and the wheel from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    folder = tmp_path_factory.mktemp("install")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = Install(folder)
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    done = install.run("python", *pip, "-c", ROOT / "constraints.txt", wheel)
    assert done.returncode == 0, done.stdout + done.stderr
    return install


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A safetensors file written by hand: one linear layer."""
    header = {
        "fc.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "fc.bias": {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "small.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<8f", *range(8)))
    return path


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"weigh-{PROJECT['version']}.dist-info"
    sources = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if "__pycache__" not in path.parts
    }
    assert sources <= names
    pages = {path.name for path in (ROOT / "src/weigh/_checks/pages").glob("*.md")}
    assert pages
    assert {f"weigh/_checks/pages/{name}" for name in pages} <= names
    assert "weigh/_notebook/style.css" in names
    assert {"weigh/py.typed", f"{info}/licenses/LICENSE"} <= names
    assert {name.split("/")[0] for name in names} == {"weigh", info}
    assert [name for name in names if "_kernels." in name and not name.endswith(".pyi")]
    assert not [name for name in names if name.endswith((".cpp", ".hpp"))]


def test_the_wheel_carries_the_whole_license(wheel: Path) -> None:
    name = f"weigh-{PROJECT['version']}.dist-info/licenses/LICENSE"
    text = zipfile.ZipFile(wheel).read(name).decode()
    assert text == (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    name = f"weigh-{PROJECT['version']}.dist-info/METADATA"
    metadata = zipfile.ZipFile(wheel).read(name).decode()
    needs = {
        line.partition(": ")[2].replace(" ", "")
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    }
    assert needs == {need.replace(" ", "") for need in PROJECT["dependencies"]}
    assert "License-Expression: Apache-2.0" in metadata


def test_the_sdist_can_be_built_and_tested(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"pyproject.toml", "constraints.txt", "Makefile", "LICENSE", "README.md"}
    assert needed | {"src/weigh/py.typed", "tests/test_package.py"} <= names
    unwanted = (".git/", ".venv/", ".cache/", ".ci/", "shared/")
    assert not [name for name in names if name.startswith(unwanted)]


def test_installed_alone_it_brings_neither_torch_nor_test_tools(install: Install) -> None:
    done = install.run("python", "-m", "pip", "list", "--format=json")
    names = {row["name"].lower() for row in json.loads(done.stdout)}
    assert {"weigh", "numpy", "click", "rich"} <= names
    assert not names & {"torch", "mlxtend", "safetensors", "scipy", "pytest", "hypothesis"}


def test_version(install: Install) -> None:
    done = install.run("weigh", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert PROJECT["version"] in done.stdout.split()


def test_help(install: Install) -> None:
    done = install.run("weigh", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert {"show", "values", "explain", "tour"} <= set(done.stdout.split())


def test_show_a_checkpoint(install: Install, checkpoint: Path) -> None:
    done = install.run("weigh", "show", checkpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"fc.weight", "fc.bias"} <= set(done.stdout.split())


def test_show_a_checkpoint_as_json(install: Install, checkpoint: Path) -> None:
    done = install.run("weigh", "show", checkpoint, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["format"] == "safetensors"
    assert document["counts"]["parameters"] == 8
    assert {t["name"]: t["shape"] for t in document["tensors"]} == {
        "fc.weight": [2, 3],
        "fc.bias": [2],
    }


def test_values_of_a_checkpoint(install: Install, checkpoint: Path) -> None:
    done = install.run("weigh", "values", checkpoint, "fc.weight[1]")
    assert (done.returncode, done.stderr) == (0, "")
    assert "[3., 4., 5.]" in done.stdout


def test_statistics_of_a_checkpoint_need_the_compiled_part(
    install: Install, checkpoint: Path
) -> None:
    done = install.run("weigh", "stats", checkpoint, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert {t["name"]: t["mean"] for t in document["tensors"]} == {"fc.weight": 2.5, "fc.bias": 6.5}
    assert document["total"]["count"] == 8


def test_a_check_and_the_page_of_a_rule(install: Install, checkpoint: Path) -> None:
    done = install.run("weigh", "check", checkpoint, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["looked_at"]["parameters"] == 2
    done = install.run("weigh", "rules", "non-finite")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# non-finite\n")


def test_the_tour_without_torch_says_what_to_install(install: Install) -> None:
    done = install.run("weigh", "tour")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "weigh[tour]" in done.stderr


def test_a_missing_file_is_one_line(install: Install) -> None:
    done = install.run("weigh", "show", "missing.safetensors")
    assert (done.returncode, done.stdout) == (2, "")
    assert "missing.safetensors" in done.stderr
    assert "Traceback" not in done.stderr
