"""Running rules on a network: the values are read once, for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from weigh._checks.finding import SEVERITIES, Finding, Unsure
from weigh._checks.report import CheckReport
from weigh._checks.rule import Rule
from weigh._checks.settings import Settings
from weigh._checks.subject import Subject
from weigh._errors import WeighError
from weigh._measures.measure import measure
from weigh._measures.measured import Options
from weigh._model import Network, Tensor
from weigh._record import changed

_MOST = 10_000
"""Findings of one rule, beyond which nobody reads on."""


class Checker:
    """Looks at a network by some rules.

    Args:
        network: the network.
        tensors: those that are looked at.
        rules: all rules.
        settings: which of them run, and how.
        options: how values are measured.
        module: the live module, its optimizer and a loss that it computed, if there are any.
    """

    def __init__(
        self,
        network: Network,
        tensors: Sequence[Tensor],
        rules: Sequence[Rule],
        settings: Settings,
        options: Options,
        **module: Any,
    ) -> None:
        self.subject = Subject(network, tensors, **module)
        self._options, self._settings = options, settings
        self._rules, self._left_out = self._to_run(settings.chosen(rules))
        self._findings: list[Finding] = []
        self._unsure: list[Unsure] = []
        self._ran: list[str] = []
        self._complete = False

    @property
    def wanted(self) -> list[Tensor]:
        """The tensors whose values are read: none if no rule asks for them."""
        asked = any("values" in rule.needs or "channels" in rule.needs for rule in self._rules)
        return self.subject.tensors if asked else []

    @property
    def bytes(self) -> int:
        """How many bytes are read."""
        return sum(tensor.bytes or 0 for tensor in self.wanted)

    def run(self) -> Iterator[str]:
        """Measure, then look; give the name of each tensor when it is measured."""
        channels = any("channels" in rule.needs for rule in self._rules)
        options = changed(self._options, channels=channels)
        for measured in measure(self.wanted, options):
            self.subject.put(measured)
            yield measured.tensor.name
        for rule in self._rules:
            self._look(rule)
        self._complete = True

    def report(self) -> CheckReport:
        """Give what was found so far."""
        subject = self.subject
        order = {severity: at for at, severity in enumerate(SEVERITIES)}
        findings = sorted(self._findings, key=lambda one: order[one.severity or "info"])
        ahead = [(rule.name, "the work was stopped") for rule in self._rules[len(self._ran) :]]
        tables = [t for t in subject.tensors if subject.table(t) is not None]
        return CheckReport(
            findings=tuple(findings),
            unsure=tuple(self._unsure),
            rules=tuple(self._ran),
            left_out=(*self._left_out, *ahead),
            looked_at=len(tables),
            tensors=len(subject.tensors),
            parameters_looked_at=sum(t.role == "parameter" for t in tables),
            parameters=len(subject.parameters),
            format=subject.network.format,
            settings=self._settings,
            complete=self._complete,
        )

    def _to_run(self, rules: Sequence[Rule]) -> tuple[list[Rule], list[tuple[str, str]]]:
        """Tell the rules that can run from those that lack something."""
        run, left_out = [], []
        for rule in rules:
            lacking = self._lacking(rule)
            if lacking:
                left_out.append((rule.name, lacking))
            else:
                run.append(rule)
        return run, left_out

    def _lacking(self, rule: Rule) -> str:
        subject = self.subject
        if "optimizer" in rule.needs and subject.optimizer is None:
            return "it needs the optimizer of a live module"
        if "module" in rule.needs and subject.module is None:
            return "it needs a live module"
        if "file" in rule.needs and subject.network.accounts is None:
            return "it needs a file"
        return ""

    def _look(self, rule: Rule) -> None:
        """Let one rule look. That of another package may fail without stopping the rest."""
        self._ran.append(rule.name)
        found = 0
        try:
            for one in rule.check(self.subject, self._settings.limits_of(rule)):
                if isinstance(one, Unsure):
                    self._unsure.append(changed(one, rule=rule.name))
                    continue
                found += 1
                if found > _MOST:
                    message = f"more than {_MOST:,} findings of one rule are not listed"
                    self._unsure.append(Unsure("", message, rule.name))
                    break
                self._findings.append(self._filled(rule, one))
        except WeighError as error:
            self._unsure.append(Unsure(error.where, str(changed_where(error)), rule.name))
        except Exception as error:
            if rule.origin == "weigh":
                raise
            message = f"the rule of {rule.origin} failed ({type(error).__name__}: {error})"
            self._unsure.append(Unsure("", message, rule.name))

    def _filled(self, rule: Rule, finding: Finding) -> Finding:
        return changed(
            finding,
            rule=rule.name,
            severity=self._settings.severity_of(rule, finding.severity),
            why=finding.why or rule.why,
            do=finding.do or rule.do,
        )


def changed_where(error: WeighError) -> WeighError:
    """Give an error without its place, which is told apart."""
    return type(error)(error.what, seen=error.seen, do=error.do)
