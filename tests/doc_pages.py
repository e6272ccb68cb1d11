"""What the tests of the documentation read out of a Markdown page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

_FENCE = re.compile(
    r"^(?P<ticks>`{3,})(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=ticks)[ ]*$", re.M | re.S
)
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.M)
_LINK = re.compile(r"""(?<!\\)\]\(<?([^)<>\s]+)>?(?: "[^"]*")?\)|(?:src|href|srcset)="([^"]+)\"""")


@dataclass(frozen=True)
class Block:
    """A fenced block of code: what stands after the ticks, its text, its first line's number."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a console block and the lines shown below it."""

    command: str
    shown: list[str]


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(path, path.read_text("utf-8"))

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(
                found["language"].strip(),
                found["text"],
                self.text.count("\n", 0, found.start("text")) + 1,
            )
            for found in _FENCE.finditer(self.text)
        ]

    @cached_property
    def prose(self) -> str:
        """The page without its blocks of code."""
        return _FENCE.sub("", self.text)

    @cached_property
    def headings(self) -> list[tuple[int, str]]:
        """The level and the text of each heading."""
        return [(len(found[1]), found[2]) for found in _HEADING.finditer(self.prose)]

    @cached_property
    def anchors(self) -> set[str]:
        """The fragments that a link into the page may name."""
        bare = (re.sub(r"[^\w\- ]", "", title.lower()) for _, title in self.headings)
        return {title.replace(" ", "-") for title in bare}

    @cached_property
    def links(self) -> list[str]:
        """Where its links and pictures point, within the repository."""
        targets = (a or b for a, b in _LINK.findall(self.prose))
        return [t for t in targets if not re.match(r"[a-z][a-z0-9+.-]*:", t)]


def steps(block: Block) -> list[Step]:
    """Take a console block apart at its prompts."""
    found: list[Step] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:], []))
        elif found and found[-1].command.endswith("\\"):
            found[-1] = Step(f"{found[-1].command[:-1].rstrip()} {line.strip()}", [])
        elif found:
            found[-1].shown.append(line.rstrip())
        else:
            raise ValueError(f"line {block.line}: a console block begins with '$ '")
    return found


def as_shown(shown: list[str], printed: list[str]) -> bool:
    """Say whether what was printed is what the page shows, ``...`` alone standing for any lines.

    Spaces at the ends of lines and empty lines at the end do not count.

    Examples:
        >>> as_shown(["a", "...", "z"], ["a", "b", "c", "z"])
        True
        >>> as_shown(["a", "..."], ["a"]), as_shown(["a", "z"], ["a", "b", "z"])
        (True, False)
    """
    text = "\n".join(line.rstrip() for line in printed).rstrip("\n") + "\n"
    lines = "\n".join(shown).rstrip("\n").split("\n")
    pattern = "".join("(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in lines)
    return re.fullmatch(pattern, text) is not None
