"""The tour on the command line: parts to standard output, a bar on standard error."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from weigh._tour.parts import Part, Step, to_json
from weigh._tour.run import run_tour
from weigh._tour.text import Page

if TYPE_CHECKING:
    from rich.progress import Progress


def run(
    *,
    data: Path | None,
    out: Path,
    seed: int,
    epochs: int | None,
    lang: str,
    step: int | None,
    no_train: bool,
    as_json: bool,
) -> None:
    """Run the tour and print it; the arguments are those of ``weigh tour``."""
    bar, page = _Bar(), Page(sys.stdout)

    def emit(part: Part) -> None:
        bar.clear()
        page.show(part)

    def so_far(step: Step) -> None:
        bar.clear()
        page.so_far(step)

    try:
        result = run_tour(
            out=out,
            data=data,
            seed=seed,
            epochs=epochs,
            lang=lang,
            step=step,
            train=not no_train,
            emit=_ignore if as_json else emit,
            so_far=_ignore if as_json else so_far,
            progress=bar.progress,
        )
    finally:
        bar.clear()
    if as_json:
        sys.stdout.write(json.dumps(to_json(result), indent=2, allow_nan=False) + "\n")


def _ignore(_: Part) -> None:
    pass


class _Bar:
    """A bar on standard error while there is something to wait for; only on a terminal."""

    def __init__(self) -> None:
        self._wanted = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        self._drawn: Progress | None = None

    def progress(self, done: int, total: int, message: str) -> None:
        """Draw how far it has come; take the bar away when all is done."""
        if not self._wanted:
            return
        if done >= total:
            self.clear()
        elif self._drawn is None:
            self._drawn = _rich_bar()
            self._drawn.add_task(message, total=total, completed=done)
            self._drawn.start()
        else:
            task = self._drawn.task_ids[0]
            self._drawn.update(task, completed=done, description=message)

    def clear(self) -> None:
        """Take the bar away, so that text can be written where it stood."""
        if self._drawn is not None:
            self._drawn.stop()
            self._drawn = None


def _rich_bar() -> Progress:
    # Rich is loaded only where there is a bar to draw.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # Standard output may be a file: what is written there is no business of the bar's.
        redirect_stdout=False,
        redirect_stderr=False,
    )
