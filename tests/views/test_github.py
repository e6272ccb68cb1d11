"""Annotations of GitHub's workflows: each command is one line, whatever a name holds."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from test_check_view import finding, report

from weigh._views.github import github_text

COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),title=([^,:]*)::(.*)")


def commands(*findings, source: str = "net.pt") -> list[tuple[str, ...]]:
    """What GitHub reads: the command, the file, the title and the message."""
    *lines, last = github_text(report(*findings), source).split("\n")
    assert last.startswith("Looked at the values of 10 of 10 parameters")
    found = [COMMAND.fullmatch(line) for line in lines]
    assert all(found), lines
    return [tuple(unquote(piece) for piece in one.groups()) for one in found if one]


def test_a_finding_is_a_command() -> None:
    assert commands(finding("fc", rule="never-trained")) == [
        ("warning", "net.pt", "weigh never-trained", "fc: it is odd. Look")
    ]


@pytest.mark.parametrize(
    ("severity", "command"), [("error", "error"), ("warning", "warning"), ("info", "notice")]
)
def test_the_severity_is_the_command(severity: str, command: str) -> None:
    assert commands(finding("", severity=severity, do=""))[0] == (
        command, "net.pt", "weigh odd", "it is odd."
    )  # fmt: skip


def test_repeats_are_one_command() -> None:
    [(*_, message)] = commands(*[finding(f"layers.{i}.fc") for i in range(32)])
    assert message == "layers.0-31.fc: it is odd (32 times). Look"


def test_numbers_of_the_first_are_not_said_of_all() -> None:
    [(*_, message)] = commands(*[finding(f"layers.{i}.fc", f"{i} of 9") for i in range(3)])
    assert message == "layers.0-2.fc: 0 of 9 (the first of 3 alike). Look"


def test_what_github_reads_as_its_own_is_escaped() -> None:
    text = github_text(report(finding("fc", "5% of it", rule="a:b,c")), "a,b:c%.pt")
    assert text.splitlines()[0] == (
        "::warning file=a%2Cb%3Ac%25.pt,title=weigh a%3Ab%2Cc::fc: 5%25 of it. Look"
    )


@pytest.mark.parametrize(
    "evil", ["a\n::error::x", "a\r\n::add-mask::x", "a\u2028b\x1b[2J", "\udcff"]
)
def test_a_name_cannot_be_a_command_of_its_own(evil: str) -> None:
    assert len(commands(finding(evil, f"it is {evil}", do=evil), source=evil)) == 1


def test_a_signed_url_is_not_told() -> None:
    [(_, source, *_)] = commands(finding("fc"), source="https://me:key@example.org/a.pt?sig=x")
    assert source == "https://example.org/a.pt"


def test_a_part_says_that_it_is_one() -> None:
    assert "this is a part" in github_text(report(finding("a"), complete=False), "net.pt")


def test_nothing_found_is_one_line() -> None:
    assert commands() == []
    assert "\n" not in github_text(report(), "net.pt")
