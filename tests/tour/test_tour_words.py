"""The tour says the same in each language."""

from __future__ import annotations

import re
from collections.abc import Callable
from string import Formatter

import pytest

from weigh._tour import Part, Step, to_text
from weigh._tour.script import SCENES
from weigh._tour.words import Words, language

EN, ZH = language("en"), language("zh")


def pairs() -> list[tuple[str, Words, Words]]:
    both = [(key, EN.steps[key], ZH.steps[key]) for key in EN.steps]
    return [
        *both,
        ("opening", EN.opening, ZH.opening),
        ("closing", EN.closing, ZH.closing),
        ("untrained", EN.untrained, ZH.untrained),
    ]


def placeholders(words: Words) -> list[str]:
    whole = " ".join([words.title, *words.text, words.adds])
    return sorted(name for _, name, _, _ in Formatter().parse(whole) if name is not None)


def test_each_language_has_every_step() -> None:
    keys = [scene.key for scene in SCENES]
    assert list(EN.steps) == keys
    assert list(ZH.steps) == keys


@pytest.mark.parametrize(("key", "en", "zh"), pairs())
def test_both_say_as_much(key: str, en: Words, zh: Words) -> None:
    assert placeholders(en) == placeholders(zh)
    assert len(en.text) == len(zh.text)
    assert bool(en.adds) == bool(zh.adds)
    assert en.title
    assert zh.title


@pytest.mark.parametrize(("key", "en", "zh"), pairs())
def test_both_name_the_same_code(key: str, en: Words, zh: Words) -> None:
    def named(words: Words) -> set[str]:
        return set(re.findall(r"`[^`]*`", " ".join([*words.text, words.adds])))

    assert named(en) == named(zh)


def test_chinese_is_chinese_to_the_last_mark(article: Callable[..., list[Part]]) -> None:
    for _, _, words in pairs():
        for text in (words.title, *words.text, *([words.adds] if words.adds else [])):
            assert re.search(r"[\u4e00-\u9fff]", text)
            prose = re.sub(r"`[^`]*`|\([A-Z][^)]*\)|\{\w+\}", "", text)
            assert not re.search(r"[,;:?!()]", prose), "half-width marks in Chinese prose"


def test_code_and_output_are_the_same_in_each_language(
    article: Callable[..., list[Part]],
) -> None:
    def shown(lang: str) -> list[tuple[str, str]]:
        parts = article(lang=lang)
        return [(p.code, p.output) for p in parts if isinstance(p, Step) and p.key != "bare"]

    assert shown("en") == shown("zh")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_whole_tour_reads_well(article: Callable[..., list[Part]], lang: str) -> None:
    text = "".join(to_text(part, 60) for part in article(lang=lang))
    assert "{" not in re.sub(r"^(> |  |\{).*$", "", text, flags=re.MULTILINE)
    assert "32,998" in text
