"""The rule on what a file names that a loader would run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weigh._checks.finding import Finding, Severity, Unsure
from weigh._checks.pickled_names import Danger, danger_of
from weigh._checks.rule import Limits, Rule
from weigh._checks.subject import Subject
from weigh._errors import printable

_LISTED, _SHOWN, _LONGEST = 50, 3, 100

_SAID: tuple[tuple[Danger, Severity, str, str], ...] = (
    (
        "harmful",
        "error",
        "a plain loader would run code that the file names, and that can run commands, reach files "
        "or evaluate code",
        "Do not load it with torch.load(weights_only=False) or pickle; ask where it comes from.",
    ),
    (
        "foreign",
        "warning",
        "a plain loader would import and run code of other packages",
        "",
    ),
    (
        "refused",
        "info",
        "it holds objects of PyTorch's own layers or of plain data, which "
        "torch.load(weights_only=True) does not make by default",
        "",
    ),
)


def executable_pickle(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find the names of code that a loader would run."""
    found: dict[Danger, list[tuple[str, str]]] = {}
    for name, where in subject.network.imports:
        found.setdefault(danger_of(name), []).append((name, where))
    for danger, severity, message, do in _SAID:
        if danger in found:
            yield _finding(found[danger], severity, message, do)


def _finding(rows: Sequence[tuple[str, str]], severity: Severity, message: str, do: str) -> Finding:
    names = [printable(name)[:_LONGEST] for name, _ in rows[:_LISTED]]
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    evidence: dict[str, object] = {
        "count": len(rows),
        "names": names,
        "files": [printable(where)[:_LONGEST] for _, where in rows[:_LISTED]],
    }
    return Finding("", f"{message}: {shown}{more}", evidence, severity, do)


RULES: tuple[Rule, ...] = (
    Rule(
        "executable-pickle",
        "code in a pickle that a plain loader would run",
        executable_pickle,
        severity="error",
        needs=("file",),
        why="torch.load(weights_only=False) and pickle.load run whatever a file names.",
        do="Save the state dict alone, or as safetensors, and load it with weights_only=True.",
    ),
)
