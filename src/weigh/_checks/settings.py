"""How a check is set: which rules run, how bad their findings are, and their thresholds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weigh._checks.finding import SEVERITIES, Severity
from weigh._checks.rule import Limits, Rule
from weigh._errors import UnknownNameError, UsageError
from weigh._names import did_you_mean
from weigh._record import field, record

if TYPE_CHECKING:
    from pathlib import Path

Config = Mapping[str, Any] | str | os.PathLike[str] | None
"""Settings as they are written: the table ``[tool.weigh.check]``, or a TOML file that has it."""


@record(frozen=True)
class Settings:
    """How a check is set.

    Attributes:
        select: the rules that run; all if empty.
        ignore: rules that do not.
        severities: how bad the findings of a rule are, where that is set.
        limits: thresholds that are set, by rule and name.
        fail_on: the mildest severity that counts as failure; None if none does.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severities: Mapping[str, Severity] = field(default_factory=dict)
    limits: Mapping[str, Limits] = field(default_factory=dict)
    fail_on: Severity | None = "error"

    def chosen(self, rules: Iterable[Rule]) -> list[Rule]:
        """Give those of the rules that run."""
        return [
            rule
            for rule in rules
            if (not self.select or rule.name in self.select) and rule.name not in self.ignore
        ]

    def limits_of(self, rule: Rule) -> dict[str, float]:
        """Give all thresholds of a rule."""
        default = {name: limit.default for name, limit in rule.limits.items()}
        return default | dict(self.limits.get(rule.name, {}))

    def severity_of(self, rule: Rule, found: Severity | None) -> Severity:
        """Say how bad a finding is: as set, else as the finding says, else as its rule does."""
        return self.severities.get(rule.name) or found or rule.severity

    def fails(self, severity: Severity | None) -> bool:
        """Whether a finding of that severity counts as failure."""
        if self.fail_on is None or severity is None:
            return False
        return SEVERITIES.index(severity) <= SEVERITIES.index(self.fail_on)


def settings_of(
    config: Config,
    rules: Sequence[Rule],
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fail_on: str = "",
    otherwise: str = "error",
) -> Settings:
    """Read settings, and what a caller says beside them.

    Args:
        config: the table ``[tool.weigh.check]`` as a mapping, or the path of a TOML file.
        rules: all rules.
        select: the rules that run, instead of those of the table.
        ignore: rules that do not, beside those of the table.
        fail_on: a severity or ``"never"``, instead of that of the table.
        otherwise: what counts as failure where neither says it.

    Raises:
        UsageError: a setting is of the wrong kind.
        UnknownNameError: there is no such rule, threshold or severity.

    Examples:
        >>> settings_of({"fail-on": "warning"}, ()).fails("info")
        False
    """
    where, table = _table(config)
    try:
        stated = {"fail-on": otherwise, **table}
        return _settings(stated, rules, select, ignore, fail_on)
    except (UsageError, UnknownNameError) as error:
        raise error.at(where) if where else error from None


def nearest_config(start: Path | None = None) -> Path | None:
    """Find the nearest ``pyproject.toml`` with a table for Weigh, from a folder upward."""
    from pathlib import Path  # slow to import

    try:
        here = (start or Path.cwd()).absolute()
    except OSError:  # the current folder is gone
        return None
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        try:
            if path.is_file() and _is_for_weigh(path.read_bytes()):
                return path
        except OSError:
            continue
    return None


def _is_for_weigh(data: bytes) -> bool:
    """Whether a file has the table, or meant to have it: a broken one is complained of."""
    if b"weigh" not in data:
        return False
    import tomllib

    try:
        tool = tomllib.loads(data.decode("utf-8")).get("tool")
    except ValueError:
        return b"[tool.weigh" in data
    return isinstance(tool, dict) and "weigh" in tool


def _table(config: Config) -> tuple[str, Mapping[str, Any]]:
    """Give the table, and the file that it stands in."""
    if config is None:
        return "", {}
    if isinstance(config, Mapping):
        return "", config
    import tomllib  # most checks have no settings
    from pathlib import Path

    path = Path(config)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError("the settings cannot be read", seen=error.strerror or "").at(
            str(path)
        ) from None
    except ValueError as error:
        raise UsageError("the settings are no TOML", seen=str(error)).at(str(path)) from None
    found: Any = document
    for key in ("tool", "weigh"):
        found = found.get(key) if isinstance(found, dict) else None
    if found is None:
        raise UsageError(
            "the file has no settings for Weigh", do="They stand under [tool.weigh.check]."
        ).at(str(path))
    for key in found if isinstance(found, dict) and "check" not in found else ():
        if did_you_mean(key, ["check"]):
            raise UnknownNameError(
                f"there are no settings [tool.weigh.{key}]", do="Did you mean [tool.weigh.check]?"
            ).at(str(path))
    found = found.get("check", {}) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise UsageError("[tool.weigh.check] is no table").at(str(path))
    return str(path), found


def _settings(
    table: dict[str, Any],
    rules: Sequence[Rule],
    select: Sequence[str],
    ignore: Sequence[str],
    fail_on: str,
) -> Settings:
    known = {rule.name: rule for rule in rules}
    set_chosen = _names(table.pop("select", ()), "select")
    chosen = tuple(select) or set_chosen
    left_out = (*ignore, *_names(table.pop("ignore", ()), "ignore"))
    for name in (*set_chosen, *chosen, *left_out):
        _check_rule(name, known)
    set_least = table.pop("fail-on")
    least: Any = fail_on or set_least
    for stated in (set_least, least):
        if stated not in (*SEVERITIES, "never"):
            raise UsageError("fail-on is one of error, warning, info and never", seen=repr(stated))
    severities = table.pop("severity", {})
    if not isinstance(severities, dict):
        raise UsageError("severity is a table of rules", seen=repr(severities))
    for name, severity in severities.items():
        _check_rule(name, known)
        if severity not in SEVERITIES:
            raise UsageError(
                f"the severity of {name} is one of error, warning and info", seen=repr(severity)
            )
    limits: dict[str, Limits] = {}
    for name, given in table.items():
        if name not in known and not isinstance(given, dict):
            there = ("select", "ignore", "fail-on", "severity")
            near = did_you_mean(name, [*there, *known]) or f"There are: {', '.join(there)}."
            raise UnknownNameError(f"there is no setting {name!r}", do=near)
        _check_rule(name, known)
        limits[name] = _limits(known[name], given)
    return Settings(chosen, left_out, severities, limits, None if least == "never" else least)


def _names(given: object, key: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise UsageError(f"{key} is a list of rules", seen=repr(given))
    return tuple(given)


def _check_rule(name: str, known: Mapping[str, Rule]) -> None:
    if name not in known:
        near = did_you_mean(name, list(known)) or "`weigh rules` lists them."
        raise UnknownNameError(f"there is no rule {name!r}", do=near)


def _limits(rule: Rule, given: object) -> dict[str, float]:
    if not isinstance(given, dict):
        raise UsageError(f"{rule.name} is a table of thresholds", seen=repr(given))
    for name, value in given.items():
        if name not in rule.limits:
            there = ", ".join(rule.limits) or "none"
            near = did_you_mean(name, list(rule.limits)) or f"There are: {there}."
            raise UnknownNameError(f"{rule.name} has no threshold {name!r}", do=near)
        # NaN is a number in TOML; nothing is above or below it.
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise UsageError(f"{rule.name}.{name} is a number", seen=repr(value))
        if value < 0:
            raise UsageError(f"{rule.name}.{name} is not negative", seen=repr(value))
    return {name: float(value) for name, value in given.items()}
