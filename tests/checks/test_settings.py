"""Settings: which rules run, how bad their findings are, their thresholds, and every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weigh
from weigh._checks.rule import Limit, Rule
from weigh._checks.settings import nearest_config, settings_of
from weigh._errors import UnknownNameError, UsageError


def nothing(subject, limits):
    yield from ()


RULES = (
    Rule("dead-filter", "", nothing, "warning", limits={"ratio": Limit(0.5, "a ratio")}),
    Rule("non-finite", "", nothing, "error"),
    Rule("outlier", "", nothing, "info"),
)
WEIGHTS = {"fc.weight": np.array([[1.0, np.nan], [2.0, 3.0]])}


def names(config: Any = None, **given: Any) -> list[str]:
    return [rule.name for rule in settings_of(config, RULES, **given).chosen(RULES)]


def test_without_settings_every_rule_runs_and_errors_fail() -> None:
    settings = settings_of(None, RULES)
    assert names() == ["dead-filter", "non-finite", "outlier"]
    assert settings.limits_of(RULES[0]) == {"ratio": 0.5}
    assert settings.severity_of(RULES[0], None) == "warning"
    assert settings.severity_of(RULES[0], "info") == "info"
    assert [settings.fails(s) for s in ("error", "warning", "info", None)] == [True, *[False] * 3]


def test_select_of_the_caller_replaces_and_ignore_adds() -> None:
    table = {"select": ["dead-filter", "outlier"], "ignore": ["outlier"]}
    assert names(table) == ["dead-filter"]
    assert names(table, select=["non-finite", "outlier"]) == ["non-finite"]
    assert names(table, ignore=["dead-filter"]) == []


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [("error", 1), ("warning", 2), ("info", 3), ("never", 0)],
)
def test_what_counts_as_failure(fail_on: str, failing: int) -> None:
    severities = ("error", "warning", "info")
    stated = settings_of({"fail-on": fail_on}, RULES)
    assert [stated.fails(s) for s in severities] == [i < failing for i in range(3)]
    asked = settings_of({"fail-on": "info"}, RULES, fail_on=fail_on)
    assert [asked.fails(s) for s in severities] == [i < failing for i in range(3)]
    left = settings_of({}, RULES, otherwise=fail_on)
    assert [left.fails(s) for s in severities] == [i < failing for i in range(3)]


def test_severities_and_thresholds_are_set() -> None:
    table = {"severity": {"dead-filter": "error"}, "dead-filter": {"ratio": 1}}
    settings = settings_of(table, RULES)
    assert settings.severity_of(RULES[0], "info") == "error", "as set, whatever the finding says"
    assert settings.limits_of(RULES[0]) == {"ratio": 1.0}
    assert table == {"severity": {"dead-filter": "error"}, "dead-filter": {"ratio": 1}}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"select": "dead-filter"}, "select is a list of rules; saw 'dead-filter'"),
        ({"ignore": [1]}, "ignore is a list of rules"),
        ({"select": ["dead-fitler"]}, "there is no rule 'dead-fitler'. Did you mean 'dead-filter'"),
        ({"ignore": ["qqq"]}, "there is no rule 'qqq'. `weigh rules` lists them."),
        ({"fail-on": "fatal"}, "fail-on is one of error, warning, info and never; saw 'fatal'"),
        ({"fail-on": ["error"]}, "fail-on is one of"),
        ({"fail_on": "error"}, "there is no setting 'fail_on'. Did you mean 'fail-on'?"),
        ({"qqq": 3}, "there is no setting 'qqq'. There are: select, ignore, fail-on, severity."),
        ({"dead-filter": {"ratio": -1}}, "dead-filter.ratio is not negative; saw -1"),
        ({"severity": "error"}, "severity is a table of rules"),
        ({"severity": {"outlier": "bad"}}, "the severity of outlier is one of error, warning and"),
        ({"severity": {"outlier": ["info"]}}, "the severity of outlier is one of"),
        ({"severity": {"outlyer": "info"}}, "Did you mean 'outlier'"),
        ({"dead-filter": 3}, "dead-filter is a table of thresholds; saw 3"),
        ({"dead-filter": {"ratoi": 3}}, "dead-filter has no threshold 'ratoi'. Did you mean"),
        ({"outlier": {"x": 3}}, "outlier has no threshold 'x'. There are: none."),
        ({"dead-filter": {"ratio": "1"}}, "dead-filter.ratio is a number; saw '1'"),
        ({"dead-filter": {"ratio": True}}, "dead-filter.ratio is a number; saw True"),
        ({"dead-filter": {"ratio": float("nan")}}, "dead-filter.ratio is a number; saw nan"),
    ],
)
def test_a_mistake_is_one_line(table: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, UnknownNameError)) as caught:
        settings_of(table, RULES)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_severity_to_fail_on_is_said_even_where_the_caller_gives_a_right_one() -> None:
    with pytest.raises(UsageError, match="fail-on is one of"):
        settings_of({"fail-on": "fatal"}, RULES, fail_on="error")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_a_file_is_read_and_named_in_its_mistakes(tmp_path: Path) -> None:
    text = '[tool.weigh.check]\nselect = ["outlier"]\n[tool.weigh.check.dead-filter]\nratio = 2\n'
    path = write(tmp_path / "weigh.toml", text)
    assert names(path) == ["outlier"]
    assert settings_of(str(path), RULES).limits_of(RULES[0]) == {"ratio": 2.0}
    write(path, "[tool.weigh.check]\nselect = [3]\n")
    with pytest.raises(UsageError, match=f"^{path}: select is a list of rules"):
        settings_of(path, RULES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.weigh.check\n", "the settings are no TOML"),
        ("[tool]\nweigh = 3\n", r"\[tool.weigh.check\] is no table"),
        ("[tool.weigh]\ncheck = 3\n", r"\[tool.weigh.check\] is no table"),
        (
            "[tool.weigh.chek]\n",
            r"no settings \[tool.weigh.chek\]. Did you mean \[tool.weigh.check",
        ),
        ("[tool.ruff]\n", "the file has no settings for Weigh. They stand under"),
        ("tool = 3\n", "the file has no settings for Weigh"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "settings.toml", text)
    with pytest.raises((UsageError, UnknownNameError), match=said) as caught:
        settings_of(path, RULES)
    assert caught.value.where == str(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(UsageError, match="the settings cannot be read"):
            settings_of(path, RULES)
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(UsageError, match="the settings are no TOML"):
        settings_of(tmp_path / "latin.toml", RULES)


def test_the_nearest_file_with_the_table_is_found(tmp_path: Path) -> None:
    outer = write(tmp_path / "pyproject.toml", "[tool.weigh.check]\n")
    # Neither a comment nor a namesake is the table.
    write(tmp_path / "a/pyproject.toml", "# see tool.weigh\n[tool.weighbridge]\nx = 1\n")
    inner = write(tmp_path / "a/b/pyproject.toml", 'tool = { weigh = { check = {} } }\nx = "weigh"')
    (tmp_path / "a/b/c").mkdir()
    assert nearest_config(tmp_path / "a") == outer
    assert nearest_config(tmp_path / "a/b/c") == inner


def test_a_folder_that_is_gone_has_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert nearest_config() is None


def test_a_broken_file_that_means_weigh_is_not_passed_by(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[tool.weigh.check]\n")
    broken = write(tmp_path / "a/pyproject.toml", "[tool.weigh.check]\nselect = [\n")
    assert nearest_config(tmp_path / "a") == broken
    write(broken, '[project]\nname = "weigh-something\n')
    assert nearest_config(tmp_path / "a") == tmp_path / "pyproject.toml"


def test_settings_reach_the_check() -> None:
    assert weigh.check(WEIGHTS, config={"ignore": ["non-finite"]}).of("non-finite") == []
    milder = weigh.check(WEIGHTS, config={"severity": {"non-finite": "info"}})
    assert (milder.worst, milder.failed) == ("info", False)
    worse = weigh.check(WEIGHTS, config={"severity": {"non-finite": "info"}, "fail-on": "info"})
    assert worse.failed
    assert weigh.check(WEIGHTS).failed
