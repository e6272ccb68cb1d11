"""The shape of the tour's texts; one module for each language fills it in."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from weigh._errors import UsageError

LANGUAGES = {"en": "weigh._tour.en", "zh": "weigh._tour.zh"}


@dataclass(frozen=True, slots=True)
class Words:
    """What is said at one step. ``{...}`` stands for a fact that is filled in.

    Attributes:
        title: a few words.
        text: paragraphs, before the code.
        adds: what Weigh adds; empty for nothing.
    """

    title: str
    text: tuple[str, ...]
    adds: str = ""


@dataclass(frozen=True, slots=True)
class Language:
    """All the texts of one language.

    Attributes:
        weigh_adds: the heading of what Weigh adds, up to where the text begins.
        between: what stands between two sentences.
        missing: of a step alone, that files its commands name are not there.
        wrote: of a step alone, that files were written.
        opening: before the first step.
        opening_untrained: the same, when the tour is not to train.
        closing: after training; ``adds`` introduces the commands to try.
        untrained: the same, when the tour was not to train.
        epoch: the message of the progress bar.
        steps: the words of each step, by its key.
    """

    weigh_adds: str
    between: str
    missing: str
    wrote: str
    opening: Words
    opening_untrained: Words
    closing: Words
    untrained: Words
    epoch: str
    steps: dict[str, Words]


def language(name: str) -> Language:
    """Give the texts of a language.

    Raises:
        UsageError: the tour does not speak it.
    """
    if name not in LANGUAGES:
        raise UsageError(
            "the tour speaks English and Chinese",
            seen=repr(name),
            do="Give --lang en or --lang zh.",
        )
    found: Language = import_module(LANGUAGES[name]).LANGUAGE
    return found
