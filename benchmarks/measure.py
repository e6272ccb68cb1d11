"""Time and memory of whole processes, and the rows that compare them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
WEIGH = Path(PYTHON).with_name("weigh")
Command = Sequence[str | Path]

# What getrusage counts in: kilobytes, on macOS bytes.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


class CommandError(Exception):
    """A measured command failed; the text is the last line of its stderr."""


@dataclass(frozen=True)
class Settings:
    """How large the files are (MB), how often each side runs, and where the files are kept."""

    size: int
    runs: int
    cache: Path


@dataclass(frozen=True)
class Run:
    """One run of a process: wall seconds, peak resident bytes, and its stdout if kept."""

    seconds: float
    peak: int
    output: str = ""


@dataclass(frozen=True)
class Row:
    """One comparison: the same measure of Weigh and of another, in runs that alternate.

    Attributes:
        group: what ``--only`` selects.
        name: what is done.
        against: who else does it.
        unit: ``"s"`` or ``"MB"``.
        ours: a figure for each of Weigh's runs.
        theirs: a figure for each run of the other, in the same order.
        most_ratio: the target, if there is one: ours is at most so many times theirs.
        most: or: ours is less than this, in the row's unit.
        error: why there are no figures.
    """

    group: str
    name: str
    against: str
    unit: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    most_ratio: float | None = None
    most: float | None = None
    error: str = ""

    @property
    def ratio(self) -> float:
        """The median of ours over the median of theirs."""
        return median(self.ours) / median(self.theirs)

    @property
    def ratios(self) -> list[float]:
        """Each of our runs over the run of the other that came right after it."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def target(self) -> str:
        if self.most_ratio is not None:
            return f"at most {self.most_ratio:g} x"
        return "" if self.most is None else f"under {self.most:g} {self.unit}"

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is no target, or no figure."""
        if self.error or not self.target:
            return None
        if self.most_ratio is not None:
            return self.ratio <= self.most_ratio
        return self.most is not None and median(self.ours) < self.most


def run(command: Command, *, keep: bool = False, status: int = 0) -> Run:
    """Run a process to its end and take its time and peak memory.

    It fails with any other exit status than ``status``.

    A process started from a large one inherits that one's peak (Linux keeps it across exec), so
    this process must stay small: whatever needs PyTorch or NumPy runs in a child.
    """
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=stdout if keep else subprocess.DEVNULL, stderr=stderr
        )
        _, ended, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(ended)
        if child.returncode != status:
            stderr.seek(0)
            lines = stderr.read().decode(errors="replace").strip().splitlines()
            raise CommandError(lines[-1] if lines else f"exit status {child.returncode}")
        stdout.seek(0)
        return Run(seconds, usage.ru_maxrss * _PEAK_UNIT, stdout.read().decode())


def alternate(
    ours: Command, theirs: Command, runs: int, *, statuses: tuple[int, int] = (0, 0)
) -> tuple[list[Run], list[Run]]:
    """Run two commands in turn: A B A B. Each is to end with its status."""
    a, b = statuses
    pairs = [(run(ours, status=a), run(theirs, status=b)) for _ in range(runs)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def seconds(runs: Sequence[Run]) -> list[float]:
    return [each.seconds for each in runs]


def megabytes(runs: Sequence[Run]) -> list[float]:
    return [each.peak / 1e6 for each in runs]


def compared(
    group: str,
    name: str,
    against: str,
    ours: Command,
    theirs: Command,
    settings: Settings,
    *,
    most_ratio: float | None = None,
    most_peak: float | None = None,
    check: Callable[[str, str], str] = lambda _, __: "",
    statuses: tuple[int, int] = (0, 0),
) -> Iterator[Row]:
    """Compare two commands in time and in peak memory.

    ``check`` gives in words what is wrong with the two outputs; ``statuses`` are the exit statuses
    that they are to end with.
    """
    try:
        # These first runs are not timed: they bring the files' pages into memory.
        first = [run(c, keep=True, status=s) for c, s in zip((ours, theirs), statuses, strict=True)]
        difference = check(*(each.output for each in first))
        if difference:
            raise CommandError(difference)
        a, b = alternate(ours, theirs, settings.runs, statuses=statuses)
    except CommandError as error:
        yield Row(group, name, against, "s", most_ratio=most_ratio, error=str(error))
        return
    yield Row(group, f"{name}: time", against, "s", seconds(a), seconds(b), most_ratio=most_ratio)
    yield Row(group, f"{name}: peak", against, "MB", megabytes(a), megabytes(b), most=most_peak)
