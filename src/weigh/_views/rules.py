"""The documents of ``weigh rules``: all rules, or the page of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weigh._checks.rule import Rule
from weigh._errors import printable
from weigh._views.document import Column, Document, Heading, Note, Part, Table, Verbatim

_COLUMNS = (
    Column("rule", role="name"),
    Column("severity"),
    Column("what it finds", role="detail"),
    Column("looks at"),
    Column("from"),
)


def rules_document(rules: Sequence[Rule], broken: Sequence[str]) -> Document:
    """Build the document of all rules.

    Args:
        rules: all rules.
        broken: those of other packages that could not be loaded, and why.
    """
    rows = tuple(
        (rule.name, rule.severity, rule.title, ", ".join(rule.needs), rule.origin) for rule in rules
    )
    notes = [Note(printable(f"The rule {one} could not be loaded.")) for one in broken]
    return (Table(_COLUMNS, rows), *notes)


def rule_document(rule: Rule) -> Document:
    """Build the page of one rule, and its thresholds below."""
    page = rule.page().strip() or f"# {rule.name}\n\n{rule.title}\n\n{rule.why}\n\n{rule.do}"
    parts = list(_parts(page))
    if rule.limits:
        rows = tuple((name, f"{one.default:g}", one.meaning) for name, one in rule.limits.items())
        columns = (
            Column("threshold", role="name"), Column("default", "right"),
            Column("meaning", role="detail"),
        )  # fmt: skip
        parts += [Heading("Thresholds"), Table(columns, rows)]
    return tuple(parts)


def _parts(page: str) -> Iterator[Part]:
    """Take a page apart at its headings, which stand out on a terminal; its text stays as it is."""
    lines: list[str] = []
    code = False
    for line in page.splitlines():
        code ^= line.startswith("```")
        if code or not line.startswith("#"):
            lines.append(line)
            continue
        yield from _text(lines)
        lines = []
        yield Heading(line)
    yield from _text(lines)


def _text(lines: list[str]) -> Iterator[Part]:
    text = "\n".join(lines).strip("\n")
    if text:
        yield Verbatim(text)
