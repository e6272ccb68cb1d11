"""Names of files that are one of several: ``model-00001-of-00002.safetensors``."""

from __future__ import annotations

from re import ASCII
from typing import NamedTuple

from weigh._pattern import pattern

_SPLIT = pattern(
    r"(.+?)-(\d{5})-of-(\d{5})((?:\.\w+)?)(\.gguf|\.safetensors|\.bin|\.msgpack)", ASCII
)
_INDEX = pattern(r"(.+)\.(?:safetensors|bin|msgpack)((?:\.\w+)?)\.index((?:\.\w+)?)\.json", ASCII)
_PROCESS = pattern(r"(?:\w+_)?zero_pp_rank_\d+_mp_rank_\d+_(?:model|optim)_states\.pt", ASCII)


class SplitName(NamedTuple):
    """What the name of such a file says.

    Attributes:
        model: what its siblings and their index are called too, with the variant (``.fp16``).
        number: which of the files it is, from 1.
        total: how many there are.
        before: what stands before the number.
        after: what stands after the total.
    """

    model: str
    number: int
    total: int
    before: str
    after: str

    def sibling(self, number: int) -> str:
        """Give the name of another of the files."""
        return f"{self.before}-{number:05}-of-{self.total:05}{self.after}"


def split_name(name: str) -> SplitName | None:
    """Read the name of one of several files; None if it is no such name.

    Examples:
        >>> split_name("model.fp16-00001-of-00002.safetensors").model
        'model.fp16'
        >>> split_name("model-00001-of-00002.fp16.safetensors").sibling(2)
        'model-00002-of-00002.fp16.safetensors'
    """
    found = _SPLIT.fullmatch(name)
    if found is None:
        return None
    before, number, total, variant, ending = found.groups()
    return SplitName(f"{before}{variant}", int(number), int(total), before, f"{variant}{ending}")


def indexed_model(name: str) -> str | None:
    """Give what an index's name says of which model it is; None if it is no such name.

    Examples:
        >>> indexed_model("model.safetensors.index.json")
        'model'
        >>> indexed_model("model.safetensors.index.fp16.json")
        'model.fp16'
    """
    found = _INDEX.fullmatch(name)
    if found is None:
        return None
    stem, first, second = found.groups()
    return f"{stem}{first}{second}"


def part_note(name: str) -> tuple[str, ...]:
    """Say of a file that was named alone that it is one of several.

    Examples:
        >>> part_note("model-00001-of-00002.bin")
        ('It is file 1 of 2, and the others are not shown: name their index, or the folder.',)
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    if _PROCESS.fullmatch(name):
        return ("It is what one process of several held: name the folder that it lies in.",)
    split = split_name(name)
    if split is None or split.total < 2 or split.after.endswith(".gguf"):
        return ()
    return (
        f"It is file {split.number:,} of {split.total:,}, and the others are not shown: name "
        "their index, or the folder.",
    )
