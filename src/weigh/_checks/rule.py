"""One rule of ``weigh check``: its name, how bad it is, what it needs and where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from weigh._checks.finding import Finding, Severity, Unsure
from weigh._record import field, record

if TYPE_CHECKING:
    from weigh._checks.subject import Subject

Need = Literal["values", "channels", "file", "module", "optimizer"]
"""What a rule looks at: the tables of all values; the sums of squares of each channel too; where
the bytes of a file are; a live module; that module's optimizer."""

Limits = Mapping[str, float]
"""A rule's thresholds by name."""

Check = Callable[["Subject", Limits], Iterator[Finding | Unsure]]


@record(frozen=True)
class Limit:
    """One threshold of a rule, which a user can change.

    Attributes:
        default: its value.
        meaning: what it is, in words.
    """

    default: float
    meaning: str


@record(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: its stable name, such as ``"dead-filter"``.
        title: what it finds, in a few words.
        check: the function that looks. It takes the ``Subject`` and the rule's thresholds and
            gives ``Finding``s and ``Unsure``s.
        severity: how bad a finding is.
        needs: what it looks at; a rule is left out where that is not to be had.
        why: why it matters, in a sentence.
        do: what to do, in a sentence.
        limits: its thresholds, by name.
        origin: the package that adds it.
    """

    name: str
    title: str
    check: Check
    severity: Severity = "warning"
    needs: tuple[Need, ...] = ("values",)
    why: str = ""
    do: str = ""
    limits: Mapping[str, Limit] = field(default_factory=dict)
    origin: str = "weigh"

    def page(self) -> str:
        """Read the rule's page, ``pages/NAME.md`` beside the module of its function.

        "" if there is none.
        """
        from importlib.resources import files  # only ``weigh rules`` reads pages

        module = getattr(self.check, "__module__", None) or ""
        try:
            page = files(module.rpartition(".")[0] or module) / "pages" / f"{self.name}.md"
            return page.read_text("utf-8") if page.is_file() else ""
        except (ImportError, TypeError, AttributeError, ValueError):
            return ""  # a module that stands alone has no place for pages
