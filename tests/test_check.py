"""``weigh check`` and ``weigh rules`` as a user meets them: whole processes, real files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from test_cli import WEIGH, in_terminal, refused, run
from weigh._checks.table import RULES

BIAS = np.array([0.1, np.nan, np.inf], np.float32)
WEIGHT = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An error, and a warning, in a network whose layers repeat."""
    path = tmp_path_factory.mktemp("check") / "ill.safetensors"
    weights = {f"layers.{i}.fc.weight": WEIGHT * (i + 1) for i in range(4)}
    biases = {f"layers.{i}.fc.bias": BIAS for i in range(4)}
    constant = {"head.weight": np.full((4, 3), 0.25, np.float32)}
    save_file(weights | biases | constant, path)
    return path


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("check") / "well.safetensors"
    save_file({"fc.weight": np.cumsum(WEIGHT, axis=1)}, path)
    return path


RUN = ("--select", "non-finite,constant")


def check(*args: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WEIGH, "check", *map(str, args)],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        encoding=env.get("PYTHONIOENCODING", "utf-8"),
        timeout=60,
        check=False,
    )


def test_findings_are_printed_and_the_status_is_one(ill: Path) -> None:
    done = check(ill, *RUN)
    assert (done.returncode, done.stderr) == (1, "")
    pieces = done.stdout.split("\n\n")
    assert pieces[:2] == [
        "ERROR  non-finite",
        "layers.0-3.fc.bias  it holds 1 NaN and 1 +Inf among 3 values (4 times)",
    ]
    assert pieces[3:5] == ["WARNING  constant", pieces[4]]
    assert pieces[4].startswith("head.weight  ")
    assert pieces[-1] == (
        "Looked at the values of 9 of 9 parameters by 2 rules: 4 errors, 1 warning.\n"
    )


def test_nothing_found_is_status_zero(well: Path) -> None:
    done = check(well, *RUN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "No findings.\n\nLooked at the values of 1 of 1 parameter by 2 rules: no findings.\n"
    )


@pytest.mark.parametrize(
    ("rule", "fail_on", "status"),
    [
        ("non-finite", "error", 1),
        ("non-finite", "info", 1),
        ("non-finite", "never", 0),
        ("constant", "error", 0),
        ("constant", "warning", 1),
        ("constant", "info", 1),
    ],
)
def test_what_fails(ill: Path, rule: str, fail_on: str, status: int) -> None:
    done = check(ill, "--select", rule, "--fail-on", fail_on)
    assert done.returncode == status
    assert f"  {rule}\n" in done.stdout


def rules_that_ran(*args: object) -> list[str]:
    done = check(*args, "--json")
    assert done.stderr == ""
    ran: list[str] = json.loads(done.stdout)["rules"]
    return ran


def test_rules_are_selected_and_ignored_together_or_apart(ill: Path) -> None:
    assert rules_that_ran(ill, "--select", "outlier", "--select", "constant, non-finite") == [
        "non-finite",
        "constant",
        "outlier",
    ]
    rest = rules_that_ran(ill, "--ignore", "outlier,constant", "--ignore", "non-finite")
    assert rest
    assert not {"outlier", "constant", "non-finite"} & set(rest)


def test_an_empty_name_runs_nothing(ill: Path) -> None:
    assert "no rule is named" in refused("check", ill, "--select", "")
    assert "no rule is named" in refused("check", ill, "--ignore", " , ")


def test_a_pattern_selects_tensors(ill: Path) -> None:
    done = check(ill, "layers.1", *RUN)
    assert "layers.1.fc.bias  it holds" in done.stdout
    assert "Looked at the values of 2 of 2 parameters by 2 rules: 1 error." in done.stdout


def test_json_is_a_document(ill: Path) -> None:
    done = check(ill, *RUN, "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document == json.loads(check(ill, *RUN, "--format", "json").stdout)
    assert document["counts"] == {"error": 4, "warning": 1, "info": 0}
    assert (document["format"], document["fail_on"], document["failed"]) == (
        "safetensors",
        "error",
        True,
    )
    first = document["findings"][0]
    assert first["evidence"] == {
        "nan": 1,
        "posinf": 1,
        "neginf": 0,
        "values": 3,
        "first": [1],
    }


def test_other_forms(ill: Path) -> None:
    sarif = check(ill.name, *RUN, "--format", "sarif", cwd=ill.parent)
    assert sarif.returncode == 1
    [ran] = json.loads(sarif.stdout)["runs"]
    places = {
        one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in ran["results"]
    }
    assert places == {"ill.safetensors"}
    github = check(ill.name, *RUN, "--format", "github", cwd=ill.parent)
    assert github.returncode == 1
    assert github.stdout.startswith(
        "::error file=ill.safetensors,title=weigh non-finite::layers.0-3.fc.bias: it holds"
    )


# Settings.


def test_the_nearest_settings_count_and_options_come_before_them(ill: Path, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    config = tmp_path / "pyproject.toml"
    config.write_text('[tool.weigh.check]\nselect = ["constant"]\nfail-on = "warning"\n')
    here = tmp_path / "below"
    assert check(ill, cwd=here).stdout.startswith("WARNING  constant")
    assert check(ill, cwd=here).returncode == 1
    assert check(ill, "--fail-on", "error", cwd=here).returncode == 0
    assert check(ill, "--select", "non-finite", cwd=here).stdout.startswith("ERROR  non-finite")
    other = tmp_path / "other.toml"
    other.write_text(
        '[tool.weigh.check]\nselect = ["non-finite"]\nseverity = { non-finite = "info" }\n'
    )
    done = check(ill, "--config", other, cwd=here)
    assert (done.returncode, done.stdout[:16]) == (0, "INFO  non-finite")


def test_wrong_settings_are_one_line(well: Path, tmp_path: Path) -> None:
    config = tmp_path / "weigh.toml"
    config.write_text("[tool.weigh.check]\nselect = 3\n")
    assert f"{config}: select is a list of rules; saw 3" in refused(
        "check", well, "--config", config
    )
    assert "cannot be read" in refused("check", well, "--config", tmp_path / "missing.toml")


# What goes wrong.


def test_wrong_names_are_one_line(ill: Path) -> None:
    assert "Did you mean 'constant'?" in refused("check", ill, "--select", "constatn")
    assert "Did you mean 'outlier'?" in refused("check", ill, "--ignore", "outleir")
    assert "'head'" in refused("check", ill, "haed")
    assert "fatal" in refused("check", ill, "--fail-on", "fatal")
    assert "xml" in refused("check", ill, "--format", "xml")


def test_a_source_that_cannot_be_read_is_status_two(tmp_path: Path, ill: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(ill.read_bytes()[:-8])
    assert "broken.safetensors" in refused("check", broken)
    assert "no such file" in refused("check", tmp_path / "missing.pt")


def test_an_output_of_few_letters_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "模型.safetensors"
    save_file({"层.weight": BIAS}, path)
    for form in ("text", "github", "json", "sarif"):
        done = check(path, "--format", form, PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (1, ""), form
        assert "\\u5c42" in done.stdout, form


@pytest.mark.parametrize("columns", [30, 60])
def test_a_narrow_terminal_cuts_nothing(ill: Path, columns: int) -> None:
    text = in_terminal(columns, "check", ill, *RUN, "--fail-on", "never", NO_COLOR="1")
    assert "\x1b" not in text
    assert "layers.0-3.fc.bias" in text
    assert "it holds 1 NaN and 1 +Inf among 3 values (4 times)" in " ".join(text.split())
    assert all(len(line) <= columns for line in text.splitlines())


def test_colour_is_an_addition(ill: Path) -> None:
    text = in_terminal(200, "check", ill, *RUN, "--fail-on", "never")
    assert "\x1b[1;31mERROR  non-finite\x1b[0m" in text
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == check(ill, *RUN).stdout


def test_ctrl_c_prints_a_part_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "big.safetensors"
    entries, size = {}, 1 << 26
    for at in range(60):
        entries[f"layers.{at}.weight"] = {
            "dtype": "F32", "shape": [4096, 4096], "data_offsets": [at * size, (at + 1) * size],
        }  # fmt: skip
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 60 * size)  # a sparse file: zeros that take no room
    process = subprocess.Popen(
        [*WEIGH, "check", str(path), "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Stopped before all was looked at: this is a part." in out
    assert "of 60 parameters by 0 rules: no findings." in out
    assert "Left out, since the work was stopped: non-finite, " in out
    assert "weigh: stopped" in err


# weigh rules.


def test_all_rules_are_listed() -> None:
    done = run("rules")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    for rule in RULES:
        assert rule.title in rows[rule.name]
        assert rule.severity in rows[rule.name].split()
    document = json.loads(run("rules", "--json").stdout)
    assert [row["name"] for row in document["rules"]][: len(RULES)] == [r.name for r in RULES]
    assert document["broken"] == []


def test_the_page_of_a_rule_is_printed() -> None:
    done = run("rules", "outlier")
    assert done.stdout.startswith("# outlier\n")
    assert "## What to do" in done.stdout
    assert re.search(r"^deviations +100 ", done.stdout, re.M)
    document = json.loads(run("rules", "outlier", "--json").stdout)
    assert document["page"].startswith("# outlier\n")
    assert document["thresholds"]["deviations"]["default"] == 100
    assert "Did you mean 'outlier'?" in refused("rules", "outleir")


# Rules of other packages.


def package(folder: Path, name: str, entry: str, source: str = "") -> None:
    dist = folder / f"{name}-1.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (dist / "entry_points.txt").write_text(f"[weigh.rules]\n{name} = {entry}\n")
    (folder / f"{name}.py").write_text(source)


RULE = """
from weigh.plugins import Finding, Rule
def look(subject, limits):
    yield Finding("", "all is new")
    raise KeyError("lost")
RULE = Rule({name!r}, "something new", look, "info")
"""


def test_a_rule_of_another_package_runs_and_its_failure_stops_no_other(
    tmp_path: Path, ill: Path
) -> None:
    package(tmp_path, "newer", "newer:RULE", RULE.format(name="novelty"))
    here = {"PYTHONPATH": str(tmp_path)}
    assert re.search(r"^novelty .* newer$", run("rules", **here).stdout, re.M)
    done = check(ill, "--select", "non-finite,novelty", **here)
    assert done.returncode == 1
    assert "ERROR  non-finite" in done.stdout
    assert "INFO  novelty\n\n(the whole)  all is new" in done.stdout
    assert "novelty: the rule of newer failed (KeyError: 'lost')." in done.stdout
    # It stands in a module that is no package, and so has no page.
    assert run("rules", "novelty", **here).stdout.startswith("# novelty\n\nsomething new")
    assert check(ill, "--format", "sarif", **here).returncode == 1


def test_a_rule_that_cannot_be_loaded_is_told(tmp_path: Path, well: Path) -> None:
    package(tmp_path, "broken", "no_such_module:RULE")
    package(tmp_path, "wrong", "wrong:RULE", "RULE = 3")
    here = {"PYTHONPATH": str(tmp_path)}
    listed = run("rules", **here)
    assert listed.returncode == 0
    assert "The rule broken of broken (ModuleNotFoundError" in listed.stdout
    assert "The rule wrong of wrong (not a Rule) could not be loaded." in listed.stdout
    done = check(well, *RUN, **here)
    assert done.returncode == 0
    assert "weigh: the rule wrong of wrong (not a Rule) could not be loaded" in done.stderr


def test_two_rules_of_one_name_are_refused(tmp_path: Path, well: Path) -> None:
    package(tmp_path, "clash", "clash:RULE", RULE.format(name="outlier"))
    done = check(well, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "two rules are called 'outlier'; saw one of weigh and one of clash" in done.stderr
    assert "Traceback" not in done.stderr
