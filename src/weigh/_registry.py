"""The table of formats: how a file is told, and which function reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Format:
    """One format of file.

    Attributes:
        name: what ``weigh`` calls it.
        title: what it is, in words.
        reader: ``"module:function"``; imported when such a file is opened.
        starts: byte strings, at least one of which such a file holds, with their offsets.
    """

    name: str
    title: str
    reader: str
    starts: tuple[tuple[int, bytes], ...]

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so may be of this format."""
        return any(head[at : at + len(mark)] == mark for at, mark in self.starts)

    def load(self) -> Callable[..., Any]:
        """Import the reader."""
        module, _, name = self.reader.partition(":")
        reader: Callable[..., Any] = getattr(import_module(module), name)
        return reader


FORMATS: tuple[Format, ...] = (
    Format(
        "safetensors",
        "safetensors: a header of JSON, then the values",
        "weigh._sources.safetensors:read",
        ((8, b"{"),),
    ),
    Format(
        "torch-zip",
        "PyTorch checkpoint (torch.save, since 1.6): a zip around a pickle",
        "weigh._sources.torch_zip:read",
        ((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
    ),
    Format(
        "torch-legacy",
        "PyTorch checkpoint (torch.save, before 1.6): pickles, then the values",
        "weigh._sources.torch_legacy:read",
        (*((0, bytes([0x80, protocol])) for protocol in range(6)), (257, b"ustar")),
    ),
)
"""Every format that Weigh reads from a file."""
