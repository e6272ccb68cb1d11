"""The table of rules: Weigh's own, and those that installed packages add."""

from __future__ import annotations

from functools import cache

from weigh._checks import (
    filters,
    initial,
    norms,
    numbers,
    optimizer,
    optimizer_state,
    pickles,
    rows,
    storage,
    strays,
    training,
)
from weigh._checks.rule import Rule
from weigh._entry_points import added as added_to
from weigh._errors import UnknownNameError
from weigh._names import did_you_mean

GROUP = "weigh.rules"
"""The group of entry points by which other packages add rules."""

_FAMILIES = (
    numbers, initial, filters, norms, rows,
    storage, pickles, optimizer_state,
    strays, training, optimizer,
)  # fmt: skip
RULES: tuple[Rule, ...] = tuple(rule for family in _FAMILIES for rule in family.RULES)
"""Weigh's own rules: those on values, on the file, on a live module, on its optimizer."""


@cache
def added() -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """Give the rules that installed packages add, and what is wrong with those that fail.

    Raises:
        UsageError: two rules have one name.
    """
    return added_to(GROUP, Rule, "rule", RULES)


def every_rule() -> tuple[Rule, ...]:
    """List all rules: Weigh's own, then those that installed packages add."""
    return (*RULES, *added()[0])


def find_rule(name: str) -> Rule:
    """Find a rule by its name.

    Raises:
        UnknownNameError: there is none.
    """
    rules = {rule.name: rule for rule in every_rule()}
    if name not in rules:
        near = did_you_mean(name, list(rules)) or "`weigh rules` lists them."
        raise UnknownNameError(f"there is no rule {name!r}", do=near)
    return rules[name]
