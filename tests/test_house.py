"""The house's shape: imports point one way, and the package is light to import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grimp
import numpy as np
import pytest

from article import write_safetensors

ROOT = Path(__file__).resolve().parents[1]
# An editable install has a finder of its own, which would find the checkout and not the package
# in the folder where this is run; Python's own finders are classes.
LINT_IMPORTS = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if isinstance(finder, type)]
from importlinter.cli import lint_imports_command
lint_imports_command()
"""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the package in a folder against the contracts of pyproject.toml."""
    config = ROOT / "pyproject.toml"
    return subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-cache", "--config", config],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )


def test_imports_point_one_way_without_cycles() -> None:
    done = lint_imports(ROOT / "src")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 2 kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("sinner", "complaint"),
    [
        ("_errors", "weigh._errors -> weigh._cli"),
        ("_sources/wayward", "weigh._sources.wayward -> weigh._cli"),
        ("stray", "weigh.stray"),
    ],
)
def test_the_contract_has_teeth(tmp_path: Path, sinner: str, complaint: str) -> None:
    """A copy of the package in which a module imports upwards, or has no place, is refused."""
    package = tmp_path / "weigh"
    for source in (ROOT / "src/weigh").rglob("*.py"):
        copy = package / source.relative_to(ROOT / "src/weigh")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    module = package / f"{sinner}.py"
    text = module.read_text("utf-8") if module.exists() else ""
    module.write_text(text + "\nimport weigh._cli as upwards\n", "utf-8")
    (package / "_cli.py").touch()

    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert complaint in done.stdout


def test_only_live_modules_and_the_tour_know_pytorch() -> None:
    graph = grimp.build_graph(
        "weigh", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    assert "numpy" in graph.modules
    knowing = graph.find_modules_that_directly_import("torch") if "torch" in graph.modules else ()
    may = ("weigh._sources.live", "weigh._sources.torch_values", "weigh._tour")
    assert [module for module in knowing if not module.startswith(may)] == []


def loaded(code: str, names: tuple[str, ...]) -> list[str]:
    """Tell which of some modules a few lines load in an interpreter of their own."""
    # What starts an interpreter here (an editable install) may have loaded some before.
    program = f"import sys; before = set(sys.modules)\n{code}\n"
    program += f"print(*({set(names)} & set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


HEAVY = ("torch", "numpy", "click", "rich", "safetensors", "scipy")
SLOW = ("dataclasses", "inspect", "difflib", "pathlib", "shutil", "textwrap", "importlib.metadata")
"""What the standard library has that takes longer to load than a file takes to list."""


def test_importing_the_package_imports_next_to_nothing() -> None:
    assert loaded("import weigh", (*HEAVY, *SLOW, "weigh._api", "weigh._model")) == []
    everything = "from weigh import *"
    assert loaded(everything, (*HEAVY, *SLOW)) == []


def test_opening_and_printing_a_file_imports_nothing_slow(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.safetensors", {"fc.weight": np.ones((2, 3), "f4")})
    code = f"import os, weigh; sys.stdout = open(os.devnull, 'w'); weigh.show({str(path)!r})"
    code += "; sys.stdout = sys.__stdout__"
    assert loaded(code, (*HEAVY, *SLOW)) == []
    assert loaded(f"import weigh; weigh.explain({str(path)!r}, 'fc')", ("weigh._explain",)) != []


def test_the_help_of_the_command_line_loads_no_reader() -> None:
    ours = ("weigh._api", "weigh._model", "weigh._registry", "weigh._views.document")
    assert loaded("import weigh._cli", ours) == []
