"""What the rule ``never-trained`` says of each layer, and counts of it with their bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import weigh
from weigh._checks.table import every_rule

if TYPE_CHECKING:
    import torch
    from torch import nn

    from weigh._checks.finding import Unsure
    from weigh._checks.report import CheckReport

RULE = "never-trained"
DETECTED, UNSURE, SILENT = "detected", "cannot tell", "missed"
SIZES = ((5, "1-5"), (49, "6-49"), (999, "50-999"), (10**5, "1e3-1e5"))
LARGEST = ">1e5"


@dataclass(frozen=True)
class Unit:
    """What one verdict is about: a layer with parameters of its own, or a parameter outside one.

    Attributes:
        path: the layer's path; "" for the network's own parameters.
        names: the full names of its own parameters.
        kind: what it is, for the tables.
        values: how many values it holds.
    """

    path: str
    names: tuple[str, ...]
    kind: str
    values: int

    @property
    def size(self) -> str:
        return size_of(self.values)


@dataclass(frozen=True)
class Verdict:
    """One layer as one source of one type, what was said of it, and what the truth is.

    Attributes:
        unit: the layer.
        group: where it comes from, for the tables.
        source: ``"live"``, or the file's format.
        dtype: the type of the values that were looked at.
        said: ``DETECTED``, ``UNSURE`` or ``SILENT``.
        change: how far it moved since it was made, relative to its norm; 0 if no value changed.
        told: the message and the evidence of what was said.
        note: how to make it again.
    """

    unit: Unit
    group: str
    source: str
    dtype: str
    said: str
    change: float = 0.0
    told: str = ""
    note: str = ""


def size_of(values: int) -> str:
    """The class of sizes that a number of values is in."""
    return next((name for most, name in SIZES if values <= most), LARGEST)


def units(module: nn.Module, prefix: str = "") -> Iterator[Unit]:
    """The layers of a module that hold parameters; those of a class of its own, one by one.

    With a prefix, only what lies at that path or below.
    """
    for path, layer in module.named_modules():
        if prefix and path != prefix and not path.startswith(prefix + "."):
            continue
        own = dict(layer.named_parameters(path, recurse=False))
        if not own:
            continue
        if type(layer).__module__.startswith("torch.nn."):
            values = sum(one.numel() for one in own.values())
            yield Unit(path, tuple(own), type(layer).__name__, values)
        else:
            for name, one in own.items():
                yield Unit(path, (name,), "parameter outside a layer", one.numel())


def ask(source: object) -> CheckReport | None:
    """What the rule says of a source; None where there is no such rule."""
    if all(rule.name != RULE for rule in every_rule()):
        return None
    return weigh.check(source, select=[RULE], threads=1)


def verdict(report: CheckReport | None, unit: Unit) -> tuple[str, str, str]:
    """What was said of one layer, the words, and the one tensor it was said of; "" if of all."""
    if report is None:
        return SILENT, "there is no such rule", ""
    for finding in report.of(RULE):
        if _covers(finding.where, finding.evidence, unit):
            words = f"{finding.where!r}: {finding.message} {_short(finding.evidence)}"
            return DETECTED, words, finding.where if finding.where in unit.names else ""
    for one in report.unsure:
        if one.rule == RULE and (_covers(one.where, {}, unit) or _of_root(one, unit)):
            return UNSURE, f"{one.where!r}: {one.message}", ""
    return SILENT, "", ""


def _covers(where: str, evidence: Any, unit: Unit) -> bool:
    if where:
        # Keras keeps what a recurrent layer learns in its cell.
        in_cell = unit.kind.startswith("Keras") and where.startswith(f"{unit.path}.")
        return where == unit.path or where in unit.names or in_cell
    named = evidence.get("layers") or [one["name"] for one in evidence.get("tensors", ())]
    return (bool(unit.path) and unit.path in named) or any(name in named for name in unit.names)


def _of_root(said: Unsure, unit: Unit) -> bool:
    """Whether what was said of the network's own parameters names this one."""
    return not said.where and not unit.path and said.message.startswith(f"{unit.names[0]} ")


def _short(evidence: Any) -> str:
    """The evidence in one line; long lists end in how long they are."""
    parts = []
    for key, value in evidence.items():
        if isinstance(value, list | tuple) and len(value) > 6:
            parts.append(f"{key}=[{len(value)} of them]")
        elif isinstance(value, float):
            parts.append(f"{key}={value:.4g}")
        else:
            parts.append(f"{key}={value}")
    return "(" + ", ".join(parts) + ")"


def sources(module: nn.Module, folder: Path) -> Iterator[tuple[str, object]]:
    """A network as it lives, and as a safetensors file of its state, which tells names only."""
    from safetensors.torch import save_file

    yield "live", module
    path = folder / "state.safetensors"
    # Tied tensors and views are no matter here: every tensor is written as a copy.
    save_file({name: one.clone() for name, one in module.state_dict().items()}, path)
    yield "file", path


def cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of a network with its floating-point values in another type."""
    return deepcopy(module).to(dtype)


def upper(count: int, of: int) -> float:
    """The one-sided 95 % upper bound of a share (Clopper and Pearson, 1934)."""
    from scipy.stats import beta

    return 1.0 if count >= of else float(beta.ppf(0.95, count + 1, of - count))


@dataclass
class Table:
    """Counts in rows and columns, written as Markdown."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"### {self.title}", "", _row(self.head), _row(["---"] * len(self.head))]
        return "\n".join(lines + [_row(row) for row in self.rows] + [""])


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def share(count: int, of: int) -> str:
    """A share in percent with its upper bound."""
    if not of:
        return "-"
    return f"{100 * count / of:.2f} % (< {100 * upper(count, of):.2f} %)"


def rates(title: str, by: str, verdicts: Sequence[Verdict], *, order: Sequence[str] = ()) -> Table:
    """A table of what was said, one row for each value of an attribute, each source and type."""
    table = Table(title, (by, "source", "dtype", "layers", DETECTED, UNSURE, SILENT, "missed"))
    counted: dict[tuple[str, str, str], Counter[str]] = {}
    for one in verdicts:
        key = (_by(by, one), one.source, one.dtype)
        counted.setdefault(key, Counter())[one.said] += 1
    for key in sorted(counted, key=lambda key: (_place(key[0], order), *key)):
        said = counted[key]
        total = said.total()
        counts = [said[DETECTED], said[UNSURE], said[SILENT]]
        table.rows.append((*key, total, *counts, share(said[SILENT], total)))
    return table


def alarms(title: str, by: str, verdicts: Sequence[Verdict], *, order: Sequence[str] = ()) -> Table:
    """A table of false findings, one row for each value of an attribute, each source and type."""
    head = (by, "source", "dtype", "layers", "false findings", UNSURE, "false")
    table = Table(title, head)
    counted: dict[tuple[str, str, str], Counter[str]] = {}
    for one in verdicts:
        key = (_by(by, one), one.source, one.dtype)
        counted.setdefault(key, Counter())[one.said] += 1
    for key in sorted(counted, key=lambda key: (_place(key[0], order), *key)):
        said = counted[key]
        row = (said[DETECTED], said[UNSURE], share(said[DETECTED], said.total()))
        table.rows.append((*key, said.total(), *row))
    return table


CHANGES = ((1e-5, "< 1e-5"), (1e-4, "1e-5 to 1e-4"), (1e-3, "1e-4 to 1e-3"), (1e-2, "1e-3 to .01"))
CHANGED_MUCH = (".01 to .1", "> .1")
SIZE_ORDER = (*(name for _, name in SIZES), LARGEST)
CHANGE_ORDER = (*(name for _, name in CHANGES), *CHANGED_MUCH)


def _by(by: str, one: Verdict) -> str:
    if by == "kind":
        return one.unit.kind
    if by == "values":
        return one.unit.size
    if by == "relative change":
        return change_of(one.change)
    return one.group


def change_of(change: float) -> str:
    """The class of relative changes that a change is in."""
    found = next((name for most, name in CHANGES if change < most), None)
    return found or CHANGED_MUCH[change >= 0.1]


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
