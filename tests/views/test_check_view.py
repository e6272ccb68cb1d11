"""The document of ``weigh check``, of ``weigh rules``, and their JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import weigh
from weigh._checks.finding import Finding, Unsure
from weigh._checks.report import CheckReport
from weigh._checks.rule import Limit, Rule
from weigh._checks.settings import settings_of
from weigh._checks.table import RULES
from weigh._views.check import check_document, fold, found, looked_at
from weigh._views.check_json import check_json, plain, rule_json, rules_json
from weigh._views.json import dumps
from weigh._views.rules import rule_document, rules_document
from weigh._views.text import render
from weigh.testing import check_with


def finding(where: str = "", message: str = "it is odd", **given: Any) -> Finding:
    given = {"rule": "odd", "severity": "warning", "why": "It matters", "do": "Look"} | given
    return Finding(where, message, **given)


def report(*findings: Finding, unsure: tuple[Unsure, ...] = (), **given: Any) -> CheckReport:
    usual: dict[str, Any] = {
        "rules": ("odd",), "left_out": (), "looked_at": 12, "tensors": 12,
        "parameters_looked_at": 10, "parameters": 10, "format": "safetensors",
        "settings": settings_of(None, ()),
    }  # fmt: skip
    return CheckReport(findings=findings, unsure=unsure, **usual | given)


def text(of: CheckReport, width: int | None = None) -> str:
    return render(check_document(of), width=width)


def test_findings_stand_by_rule_with_why_and_what_to_do_once() -> None:
    shown = text(
        report(
            finding("a.weight", "it holds 1 NaN", severity="error", rule="bad"),
            finding("b.weight"),
            finding("c.weight", do="Something else"),
            finding("", "nothing moved", severity="info", rule="mild", why="", do=""),
        )
    )
    assert shown.split("\n\n") == [
        "ERROR  bad",
        "a.weight  it holds 1 NaN",
        "- Why: It matters\n- Do: Look",
        "WARNING  odd",
        "b.weight  it is odd\nc.weight  it is odd",
        "- Why: It matters\n- Do: Look\n- Do: Something else",
        "INFO  mild",
        "(the whole)  nothing moved",
        "Looked at the values of 10 of 10 parameters and 2 other tensors by 1 rule: "
        "1 error, 2 warnings, 1 info.",
    ]


def test_how_much_was_looked_at_is_always_said() -> None:
    assert text(report()).endswith("parameters and 2 other tensors by 1 rule: no findings.")
    part = report(looked_at=3, parameters_looked_at=2, rules=("a", "b"), parameters=1_234)
    assert looked_at(part) == (
        "Looked at the values of 2 of 1,234 parameters and 1 other tensor by 2 rules: no findings."
    )
    unread = report(looked_at=0, parameters_looked_at=0, rules=())
    assert looked_at(unread) == "Looked at no values of 12 tensors by 0 rules: no findings."
    empty = report(looked_at=0, tensors=0, parameters_looked_at=0, parameters=0)
    assert looked_at(empty).startswith("Looked at the values of 0 of 0 parameters by 1 rule")
    assert found(report(finding(), finding())) == "2 warnings"


def test_rules_that_were_left_out_are_named_with_the_reason() -> None:
    left_out = (("a", "it needs a live module"), ("b", "it needs a file"))
    left_out += (("c", "it needs a live module"),)
    lines = text(report(left_out=left_out)).splitlines()
    assert lines[-3::2] == [
        "Left out, since it needs a live module: a, c.",
        "Left out, since it needs a file: b.",
    ]


def test_a_part_says_that_it_is_one() -> None:
    assert "this is a part" in text(report(complete=False))
    assert "this is a part" not in text(report())


def test_what_cannot_be_told_is_grouped() -> None:
    unsure = [
        Unsure(f"blocks.{i}.w", f"a change below {i} % would not show", "odd") for i in range(5)
    ]
    unsure += [Unsure("", "the graph is gone", "odd"), Unsure("x", "no values", "bad")]
    shown = text(report(unsure=tuple(unsure)))
    assert shown.split("\n\n")[1:3] == [
        "Cannot tell",
        "- odd: blocks.0.w, blocks.1.w, blocks.2.w and 2 more: a change below 0 % would not show.\n"
        "- odd: the graph is gone.\n"
        "- bad: x: no values.",
    ]


# Folding.


def folded(*findings: Finding) -> list[tuple[str, str, int]]:
    return [(one.where, one.message, len(one.findings)) for one in fold(findings)]


def test_repeats_in_numbered_blocks_are_one_line() -> None:
    many = [finding(f"layers.{i}.fc", f"{i + 1} of 64 filters") for i in (*range(31), 40)]
    assert folded(*many) == [("layers.0-30,40.fc", "1 of 64 filters", 32)]
    assert "layers.0-30,40.fc  1 of 64 filters (the first of 32 alike)" in text(report(*many))
    same = [finding(f"layers.{i}.fc") for i in (10, 9, 11)]
    assert "layers.9-11.fc  it is odd (3 times)" in text(report(*same))


@pytest.mark.parametrize(
    "other",
    [
        finding("layers.1.proj"),
        finding("layers.1.fc.weight"),
        finding("layers.1.fc", "it is other"),
        finding("layers.1.fc", severity="info"),
        finding("layers.1.fc", do="Something else"),
        finding("layers.1x.fc"),
    ],
)
def test_what_differs_in_more_is_not_folded(other: Finding) -> None:
    assert [times for *_, times in folded(finding("layers.0.fc"), other)] == [1, 1]


def test_two_numbers_that_differ_are_not_folded() -> None:
    names = ["a.0.b.0", "a.0.b.1", "a.1.b.0", "a.1.b.1"]
    assert [where for where, *_ in folded(*map(finding, names))] == names
    assert len(folded(finding("a.0"), finding("a.0"))) == 2


def test_a_number_of_thousands_of_digits_is_a_name() -> None:
    """Python refuses to read it as a number."""
    names = [f"a.{digit * 5000}.w" for digit in "89"]
    assert [where for where, *_ in folded(*map(finding, names))] == names
    tensors = {name: np.zeros((2, 2)) for name in names}
    weigh.show(tensors, fold=True)


# Where it is printed.


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_narrow_terminal_wraps_and_cuts_no_name(width: int) -> None:
    name = "encoder.layers.3.attention.weight"
    shown = text(report(finding(name, "it holds some numbers that nobody expects there")), width)
    assert name in shown
    assert "it holds some numbers that nobody expects there" in " ".join(shown.split())
    assert all(len(line) <= max(width, len(name)) for line in shown.splitlines())


def test_the_severity_is_a_word_and_colour_an_addition() -> None:
    bad = report(finding("a", severity="error"), finding("b"), finding("c", severity="info"))
    roles: dict[str, str] = {}

    def note(piece: str, role: str) -> str:
        roles[piece] = role
        return piece

    assert render(check_document(bad), style=note) == text(bad)
    assert roles["ERROR  odd"] == "error"
    assert roles["WARNING  odd"] == "warning"
    assert roles["INFO  odd"] == "info"


def test_a_name_from_a_file_cannot_write_to_the_terminal() -> None:
    evil = "a\x1b[2J\n.w"
    unsure = (Unsure(evil, f"no {evil}", "odd"),)
    shown = text(report(finding(evil, f"it is {evil}", do=evil), unsure=unsure))
    assert "\x1b" not in shown
    assert r"a\x1b[2J\n.w" in shown


def test_a_report_prints_as_the_command_does() -> None:
    checked = weigh.check({"fc.weight": np.array([[1.0, np.nan]])}, select=["non-finite"])
    assert str(checked) == text(checked)
    assert str(checked).startswith("ERROR  non-finite\n\nfc.weight  it holds 1 NaN among 2 values")


# JSON.


def test_the_json_document() -> None:
    one = finding("a", evidence={"top": math.inf, "rows": [1, (2, math.nan)], "none": None})
    unsure = (Unsure("b", "no values", "odd"),)
    made = report(one, unsure=unsure, left_out=(("x", "it needs a file"),), complete=False)
    document = json.loads(dumps(check_json(made)))
    assert document == {
        "format": "safetensors",
        "findings": [
            {
                "rule": "odd",
                "severity": "warning",
                "where": "a",
                "message": "it is odd",
                "evidence": {"top": "Infinity", "rows": [1, [2, "NaN"]], "none": None},
                "why": "It matters",
                "do": "Look",
            }
        ],
        "cannot_tell": [{"rule": "odd", "where": "b", "message": "no values"}],
        "rules": ["odd"],
        "left_out": [{"rule": "x", "reason": "it needs a file"}],
        "looked_at": {"tensors": 12, "of_tensors": 12, "parameters": 10, "of_parameters": 10},
        "counts": {"error": 0, "warning": 1, "info": 0},
        "fail_on": "error",
        "failed": False,
        "complete": False,
    }


def test_evidence_of_any_type_is_json() -> None:
    odd = {"a": {1, 2}, "b": np.float32(0.5), 3: np.array([1, 2]), "c": True}
    made = json.loads(json.dumps(plain(odd), allow_nan=False))
    assert made["c"] is True
    assert set(made) == {"a", "b", "3", "c"}


# Rules.


def look(subject, limits) -> Iterator[Finding]:
    for tensor in subject.parameters:
        if (tensor.count or 0) > limits["most"]:
            yield Finding(tensor.name, "it is large", {"values": tensor.count})


LARGE = Rule(
    "large", "a large tensor", look, "info", (), why="It takes room", do="Cut it",
    limits={"most": Limit(3, "values that are not too many")}, origin="elsewhere",
)  # fmt: skip


def test_the_list_of_rules() -> None:
    lines = render(rules_document([LARGE], ["lost of nowhere (ImportError: x)"])).splitlines()
    assert lines[0].split() == ["rule", "severity", "what", "it", "finds", "looks", "at", "from"]
    assert lines[1].split() == ["large", "info", "a", "large", "tensor", "elsewhere"]
    assert lines[-1] == "The rule lost of nowhere (ImportError: x) could not be loaded."
    document = rules_json([LARGE], ["lost"])
    assert document["broken"] == ["lost"]
    assert document["rules"] == [rule_json(LARGE)]
    assert rule_json(LARGE)["thresholds"] == {
        "most": {"default": 3, "meaning": "values that are not too many"}
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_page_is_printed_as_it_is(rule: Rule) -> None:
    assert render(rule_document(rule)).startswith(rule.page().strip())


def test_the_headings_of_a_page_stand_out(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "# large\n\nFinds it.\n\n```python\n# no heading\n```\n## Why\n\nSo.\n"
    monkeypatch.setattr(Rule, "page", lambda rule: page)
    shown = render(rule_document(LARGE), style=lambda text, role: f"<{role}>{text}")
    assert shown.startswith(
        "<heading># large\n\nFinds it.\n\n```python\n# no heading\n```\n\n<heading>## Why\n\nSo."
    )


def test_a_rule_without_a_page_is_told_by_what_it_says() -> None:
    assert LARGE.page() == ""
    shown = render(rule_document(LARGE))
    for piece in ("# large", "a large tensor", "It takes room", "Cut it", "Thresholds"):
        assert piece in shown
    assert shown.splitlines()[-1].split()[:2] == ["most", "3"]


def test_check_with_runs_one_rule_that_is_not_installed() -> None:
    weights = {"fc.weight": np.ones((2, 2)), "fc.bias": np.ones(2)}
    made = check_with(LARGE, weights)
    assert [(one.rule, one.where, one.why) for one in made] == [
        ("large", "fc.weight", "It takes room")
    ]
    assert not check_with(LARGE, weights, most=4).findings
    with pytest.raises(weigh.UnknownNameError, match="has no threshold"):
        check_with(LARGE, weights, least=4)
