"""Checkpoints of Megatron: a folder for each iteration, and a file that names the latest."""

from __future__ import annotations

import re
from dataclasses import replace

from weigh._errors import FormatError, SourceError, UnsupportedError
from weigh._facts import Facts
from weigh._sources import dcp
from weigh._sources.folder import Folder
from weigh._sources.reading import read_file

LATEST = "latest_checkpointed_iteration.txt"
_PART = re.compile(r"mp_rank_\d+(_\d+)*")
_FILES = ("model_optim_rng.pt", "model_rng.pt")


def read(folder: Folder) -> Facts:
    """Read what the latest iteration's checkpoint states.

    Raises:
        FormatError: the file that names it names no iteration.
        SourceError: it is not there.
        UnsupportedError: the network is spread over several files of Megatron's own kind.
    """
    inner = folder.folder(_iteration(folder))
    files = inner.files()
    facts = dcp.read(inner) if dcp.METADATA in files else _one(inner)
    return replace(facts, format="megatron", location=folder.name)


def _iteration(folder: Folder) -> str:
    source = folder.open(LATEST)
    text = bytes(source.view(0, min(source.size, 100))).decode("utf-8", "replace").strip()
    if text == "release":
        return text
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise FormatError(f"{LATEST} names no iteration", seen=repr(text[:40]))
    return f"iter_{int(text):07}"


def _one(folder: Folder) -> Facts:
    """Read a network that is not spread over several ranks."""
    parts = [name for name in folder.folders() if _PART.fullmatch(name)]
    if len(parts) > 1:
        raise UnsupportedError(
            "tensor and pipeline parallel checkpoints of Megatron are not put together yet",
            seen=f"{len(parts):,} parts",
            do="Name the file in one of them: it opens as the part that it is.",
        )
    inner = folder.folder(parts[0]) if parts else folder
    names = inner.files()
    name = next((one for one in _FILES if one in names), None)
    if name is None:
        raise SourceError("the iteration has no file of a model", where=inner.name)
    return read_file(inner.open(name))
