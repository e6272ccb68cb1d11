"""The tour on the command line: parts to standard output, a bar on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weigh._tour.bench import Progress
from weigh._tour.parts import Part, to_json
from weigh._tour.run import run_tour
from weigh._tour.text import show


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
    with _bar() as progress:
        result = run_tour(
            out=out,
            data=data,
            seed=seed,
            epochs=epochs,
            lang=lang,
            step=step,
            train=not no_train,
            emit=_ignore if as_json else _print,
            progress=progress,
        )
    if as_json:
        sys.stdout.write(json.dumps(to_json(result), indent=2, allow_nan=False) + "\n")


def _print(part: Part) -> None:
    show(part, sys.stdout)


def _ignore(_: Part) -> None:
    pass


@contextmanager
def _bar() -> Iterator[Progress]:
    """Draw a bar on standard error while there is something to wait for; only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    # Rich is loaded only where there is a bar to draw.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def progress(done: int, total: int, message: str) -> None:
            bar.update(task, completed=done, total=total, description=message, visible=done < total)

        yield progress
