"""What the tour is made of: parts that render to text and to JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from weigh._views.document import Document
from weigh._views.text import render


@dataclass(frozen=True, slots=True)
class Cell:
    """Some code, and what it printed when it was run.

    Attributes:
        code: Python as run, without a prompt.
        output: what it printed, then the value of a trailing expression, as a Python prompt does.
        look: ``"shades"`` where the output is a picture drawn in shade characters.
    """

    code: str
    output: str
    look: Literal["text", "shades"] = "text"


@dataclass(frozen=True, slots=True)
class Adds:
    """What Weigh adds to a step.

    Attributes:
        title: the heading, in the tour's language.
        text: a sentence or two.
        commands: shell commands to try.
        document: what Weigh itself says, in English; may be empty.
    """

    title: str
    text: str
    commands: tuple[str, ...] = ()
    document: Document = ()

    @property
    def output(self) -> str:
        """What Weigh itself says, with nothing wrapped."""
        return render(self.document)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the tour: what is explained, the code, and its real output.

    Attributes:
        number: its place in the tour, from 1.
        key: its name in the tour's texts, the same in every language.
        title: a few words.
        text: paragraphs.
        cells: code and output, in the order run.
        adds: what Weigh adds, if anything.
    """

    number: int
    key: str
    title: str
    text: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()
    adds: Adds | None = None

    @property
    def code(self) -> str:
        """All of the step's code, as one program."""
        return "\n".join(cell.code for cell in self.cells)

    @property
    def output(self) -> str:
        """All that the step printed."""
        return "\n".join(cell.output for cell in self.cells if cell.output)


@dataclass(frozen=True, slots=True)
class Opening:
    """What stands before the first step."""

    title: str
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """What stands after the last step: the files left behind, and what to try on them."""

    title: str
    text: tuple[str, ...]
    files: tuple[str, ...]
    then: str
    commands: tuple[str, ...]


Part = Opening | Step | Closing


@dataclass(frozen=True, slots=True)
class Moved:
    """How far training moved one parameter.

    Attributes:
        name: the parameter's name.
        relative_change: ``||after - before|| / ||before||``; None where ``before`` is all zero.
        cosine: of the angle between before and after; None where either is all zero.
    """

    name: str
    relative_change: float | None
    cosine: float | None


@dataclass(frozen=True, slots=True)
class TourResult:
    """What a tour came to.

    Attributes:
        accuracy: the share of the held-out images that the trained network names rightly, 0 to 1;
            None when it was not asked.
        seconds: how long the training took; None when nothing was trained.
        files: the files written, in the order they were first written.
        moved: how far each parameter moved, in the network's order; empty without an
            accuracy.
        parts: what was emitted, in order.
        lang: the language of the texts.
        seed: where every random number came from.
    """

    accuracy: float | None
    seconds: float | None
    files: tuple[Path, ...]
    moved: tuple[Moved, ...]
    parts: tuple[Part, ...] = field(repr=False)
    lang: str
    seed: int


def to_json(result: TourResult) -> dict[str, Any]:
    """Give a tour as a document for ``json.dumps``.

    The keys are ``lang``, ``seed``, ``opening`` (or None), ``steps`` (a list of ``number``,
    ``key``, ``title``, ``text``, ``code``, ``output``, ``cells``, ``adds``), ``closing`` (or None),
    ``accuracy``, ``seconds``, ``files`` and ``moved``.
    """
    opening = next((part for part in result.parts if isinstance(part, Opening)), None)
    closing = next((part for part in result.parts if isinstance(part, Closing)), None)
    return {
        "lang": result.lang,
        "seed": result.seed,
        "opening": None if opening is None else asdict(opening),
        "steps": [_step_json(part) for part in result.parts if isinstance(part, Step)],
        "closing": None if closing is None else asdict(closing),
        "accuracy": result.accuracy,
        "seconds": result.seconds,
        "files": [str(path) for path in result.files],
        "moved": [asdict(moved) for moved in result.moved],
    }


def _step_json(step: Step) -> dict[str, Any]:
    adds = step.adds
    return {
        "number": step.number,
        "key": step.key,
        "title": step.title,
        "text": list(step.text),
        "code": step.code,
        "output": step.output,
        "cells": [asdict(cell) for cell in step.cells],
        "adds": adds
        and {
            "title": adds.title,
            "text": adds.text,
            "commands": list(adds.commands),
            "output": adds.output,
        },
    }
