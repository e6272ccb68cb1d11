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
from weigh._entry_points import entry_points_of
from weigh._errors import UnknownNameError, UsageError
from weigh._names import did_you_mean
from weigh._record import changed

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

    An entry point names a ``Rule``, or several in a tuple or a list.

    Raises:
        UsageError: two rules have one name.
    """
    rows: list[Rule] = []
    broken: list[str] = []
    taken = {rule.name: rule.origin for rule in RULES}
    for point in entry_points_of(GROUP):
        package = point.dist.name if point.dist else point.value
        try:
            given = point.load()
        except Exception as error:  # another package's code, which may raise anything
            broken.append(f"{point.name} of {package} ({type(error).__name__}: {error})")
            continue
        for rule in given if isinstance(given, tuple | list) else (given,):
            if not isinstance(rule, Rule):
                broken.append(f"{point.name} of {package} (not a Rule)")
                continue
            if rule.name in taken:
                raise UsageError(
                    f"two rules are called {rule.name!r}",
                    seen=f"one of {taken[rule.name]} and one of {package}",
                    do="Uninstall one of the two packages.",
                )
            taken[rule.name] = package
            rows.append(changed(rule, origin=package))
    return tuple(rows), tuple(broken)


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
