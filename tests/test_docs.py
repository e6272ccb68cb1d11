"""The documentation is held against the code.

- ```` ```console ```` blocks run: each line that begins with ``$ weigh`` is run by a shell, and
  what it prints must be what is shown below it; a line ``...`` stands for any lines, and a
  command with nothing below it only has to succeed. Other commands (``$ make tour``) are left
  alone. Exit status 1 (findings, differences) is fine; with 2 it is stderr that is shown.
- ```` ```python ```` and ```` ```pycon ```` blocks with ``>>>`` run as doctests; the blocks of
  one page share their names. A block without ``>>>`` must at least be Python.
- The pages of the rules are held to the same, and have the same headings.
- All of them run in a folder that holds what ``weigh tour`` left there; ``$ weigh tour`` itself
  is compared with that one run. What should not run is marked ``sh`` or ``text``.
"""

from __future__ import annotations

import ast
import doctest
import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from PIL import Image

from doc_pages import Page, Step, as_shown, steps
from weigh._checks.rule import Rule
from weigh._checks.table import RULES

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src/weigh"
LINKED = ["README.md", "README.zh.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
GUIDES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
RULE_PAGES = sorted(
    path.relative_to(ROOT).as_posix() for path in (SOURCE / "_checks/pages").glob("*.md")
)
EXAMPLES = ["README.md", "README.zh.md", *GUIDES, *RULE_PAGES]


def page(name: str) -> Page:
    return Page.read(ROOT / name)


# Examples run.


@dataclass(frozen=True)
class Toured:
    """A folder in which the tour was taken, and what the tour printed."""

    folder: Path
    printed: list[str]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader would, with this environment's ``weigh`` first."""
    scripts = Path(sys.executable).parent
    unset = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONWARNINGS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment["PATH"] = f"{scripts}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Toured:
    folder = tmp_path_factory.mktemp("toured")
    done = shell("weigh tour", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "weigh-tour").is_dir()
    return Toured(folder, done.stdout.splitlines())


@pytest.fixture
def workplace(toured: Toured, tmp_path: Path) -> Path:
    """A folder of one's own that holds what the tour left."""
    return Path(shutil.copytree(toured.folder, tmp_path / "workplace"))


def printed_by(step: Step, folder: Path, toured: Toured) -> list[str]:
    if step.command == "weigh tour":
        return toured.printed
    done = shell(step.command, folder)
    assert done.returncode in (0, 1, 2), f"$ {step.command}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, f"$ {step.command}\n{done.stderr}"
    assert done.returncode != 2 or step.shown, f"$ {step.command}\n{done.stderr}"
    return (done.stderr if done.returncode == 2 else done.stdout).splitlines()


@pytest.mark.parametrize("name", EXAMPLES)
def test_console_examples_print_what_they_show(name: str, toured: Toured, workplace: Path) -> None:
    for block in page(name).blocks:
        if block.language != "console":
            continue
        for step in steps(block):
            if not step.command.startswith("weigh"):
                continue
            printed = printed_by(step, workplace, toured)
            assert not step.shown or as_shown(step.shown, printed), (
                f"{name}:{block.line}: $ {step.command}\nprinted\n" + "\n".join(printed)
            )


def test_the_pictures_are_those_of_the_script(toured: Toured, tmp_path: Path) -> None:
    """Training differs a little between machines, so trained networks only look alike."""
    script = runpy.run_path(str(ROOT / "docs/make_pictures.py"))
    here = {path.name for path in (ROOT / "docs/pictures").iterdir()}
    assert here == {*script["DRAWN"], *script["REPORTS"], "notebook.png"}
    for name, draw in script["DRAWN"].items():
        made = tmp_path / name
        draw(toured.folder / "weigh-tour").save(made)
        with Image.open(made) as new, Image.open(ROOT / "docs/pictures" / name) as old:
            assert new.text["Title"] == old.text["Title"]
            assert new.width == old.width
            if "initial" in name:
                assert new.text == old.text
                assert list(new.convert("RGB").tobytes()) == list(old.convert("RGB").tobytes())


@pytest.mark.parametrize("name", EXAMPLES)
def test_python_examples_run(name: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    names: dict[str, object] = {}
    parser, complaints = doctest.DocTestParser(), list[str]()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for block in page(name).blocks:
        if block.language not in ("python", "pycon"):
            continue
        if ">>>" not in block.text:
            ast.parse(block.text, f"{name}:{block.line}")
            continue
        test = parser.get_doctest(block.text, names, name, name, block.line - 1)
        runner.run(test, out=complaints.append, clear_globs=False)
        names = test.globs
    assert runner.summarize(verbose=False).failed == 0, "".join(complaints)


# The command line's page.


def commands() -> dict[str, click.Command]:
    """Every command by its full name: ``"show"``, and ``"cache clear"`` if there were one."""
    from weigh._cli import weigh as main

    found: dict[str, click.Command] = {}

    def walk(command: click.Command, name: str) -> None:
        if name:
            found[name] = command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name or "weigh")
            for child in command.list_commands(context):
                below = command.get_command(context, child)
                assert below is not None, child
                if not below.hidden:
                    walk(below, f"{name} {child}".strip())

    walk(main, "")
    return found


def options(command: click.Command) -> set[str]:
    """The long names of a command's options."""
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }


def part_about(command: str) -> str:
    """The part of docs/cli.md about a command: all that stands below its heading."""
    heading = re.compile(rf"^(#+) .*\bweigh {re.escape(command)}\b.*$", re.M)
    text = page("docs/cli.md").text
    found = heading.search(text)
    assert found is not None, f"docs/cli.md has no heading with 'weigh {command}'"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def named(options_in: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", options_in))


def test_every_command_and_option_is_documented() -> None:
    """An option stands in its command's part of docs/cli.md, or before the first command."""
    text = page("docs/cli.md").text
    first = re.search(r"^#+ .*\bweigh \w+", text, re.M)
    assert first is not None
    general = named(text[: first.start()])
    missing = {
        name: sorted(left)
        for name, command in commands().items()
        if (left := options(command) - named(part_about(name)) - general)
    }
    assert missing == {}


def test_no_command_or_option_is_documented_that_is_not_there() -> None:
    known = commands()
    text = page("docs/cli.md").text
    headings = re.findall(r"^#+ .*?\bweigh (\w+)", text, re.M)
    assert set(headings) == {name.split()[0] for name in known}
    everything = {"--help", "--version"}.union(*(options(c) for c in known.values()))
    assert named(text) <= everything


# The pages among themselves, and the map of the sources.


@pytest.mark.parametrize("name", [*LINKED, *GUIDES, *RULE_PAGES])
def test_every_link_leads_somewhere(name: str) -> None:
    here = page(name)
    for link in here.links:
        target, _, fragment = link.partition("#")
        path = (here.path.parent / target).resolve() if target else here.path
        assert path.exists(), f"{name} links to {link}"
        assert path.is_relative_to(ROOT), f"{name} links to {link}, outside the repository"
        if fragment and path.suffix == ".md":
            assert fragment in Page.read(path).anchors, f"{name} links to {link}"


# The rules: a page for each, and a row in the table of all.

HEADINGS = ("Why it matters", "How it is decided", "Evidence", "It triggers", "It does not",
            "What to do")  # fmt: skip


def test_every_page_is_of_a_rule() -> None:
    assert {Path(name).stem for name in RULE_PAGES} == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_documented(rule: Rule) -> None:
    here = page(f"src/weigh/_checks/pages/{rule.name}.md")
    assert rule.page() == here.text
    assert here.headings == [(1, rule.name), *((2, heading) for heading in HEADINGS)]
    assert {name for name in rule.limits if f"`{name}`" not in here.text} == set()
    runs = [block.text for block in here.blocks if block.language == "python"]
    assert len(runs) >= 2, "one that triggers it, one that does not"
    assert all(">>>" in text for text in runs)
    for sentence in (rule.why, rule.do):
        assert sentence.endswith((".", "?")), "a sentence"
    for words in (rule.title, *(limit.meaning for limit in rule.limits.values())):
        assert words, "a few words"
        assert not words.endswith("."), "no sentence"


def test_every_rule_has_its_row() -> None:
    rows = [
        f"| [{rule.name}](../src/weigh/_checks/pages/{rule.name}.md) | {rule.severity} | "
        f"{rule.title} | {', '.join(rule.needs) or 'names'} |"
        for rule in RULES
    ]
    shown = [line for line in page("docs/rules.md").text.splitlines() if "_checks/pages/" in line]
    assert shown == rows, "docs/rules.md must have\n" + "\n".join(rows)


def test_both_readmes_say_the_same() -> None:
    english, chinese = page("README.md"), page("README.zh.md")
    assert [level for level, _ in english.headings] == [level for level, _ in chinese.headings]
    assert [(b.language, b.text) for b in english.blocks] == [
        (b.language, b.text) for b in chinese.blocks
    ]


def test_the_readmes_link_to_each_other() -> None:
    assert "README.zh.md" in page("README.md").links
    assert "README.md" in page("README.zh.md").links


def test_every_module_is_in_the_architecture() -> None:
    text = page("ARCHITECTURE.md").text
    modules = {p.name for p in SOURCE.rglob("*.py") if p.name != "__init__.py"}
    assert {m for m in modules if not re.search(rf"(?<!\w){re.escape(m)}\b", text)} == set()


def test_every_module_in_the_architecture_is_there() -> None:
    folders = [ROOT / name for name in ("src", "tests", "benchmarks")]
    files = [f"/{p.relative_to(ROOT).as_posix()}" for f in folders for p in f.rglob("*.py")]
    named_files = re.findall(r"(?<![\w/.])[\w/.]*\w\.py\b", page("ARCHITECTURE.md").text)
    assert {n for n in named_files if not any(f.endswith(f"/{n}") for f in files)} == set()
