"""To be written."""

from weigh._checks.rule import Rule

RULES: tuple[Rule, ...] = ()
