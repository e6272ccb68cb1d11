"""Which reader reads a file or a folder: joins the table of formats with the places."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import cast

from weigh._errors import FormatError, SourceError, UnsupportedError, WeighError
from weigh._facts import Facts
from weigh._record import changed
from weigh._registry import FORMATS, ZIP, Format, added, find_folder_format, find_format, missing
from weigh._sources.bytes import ByteSource
from weigh._sources.folder import Folder
from weigh._sources.split_names import part_note

_HEAD = 512
_ORBAX = ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt")
"""Files that tell a folder of Orbax's."""
_AT_ONCE = 16
_NAMED = 4
_DCP = re.compile(r"\.metadata|.+\.distcp")
_LFS = b"version https://git-lfs.github.com/"
_HTML = (b"<!doctype html", b"<html")


def read_file(source: ByteSource) -> Facts:
    """Read what a file states, whatever its format.

    Raises:
        SourceError: it is empty, of no known format, or its reader refuses it; the message says
            where.
    """
    try:
        return _read_with(_format_of(source), source)
    except WeighError as error:
        raise error.at(source.name) from None


def read_named(source: ByteSource) -> Facts:
    """Read what a file states that the user names, and say so if it is one of several.

    Raises:
        SourceError: see ``read_file``.
    """
    facts = read_file(source)
    note = part_note(source.name)
    return changed(facts, notes=(*note, *facts.notes)) if note else facts


def source_beside(source: ByteSource) -> Folder:
    """Give the folder that a file lies in.

    Raises:
        SourceError: it lies in none.
    """
    if source.beside is None:
        raise SourceError("it is one of several files, and the others are not here")
    return source.beside


def read_files(folder: Folder, paths: Sequence[str]) -> list[Facts]:
    """Read several files of a folder; from a far place all of them at the same time.

    Raises:
        SourceError: one is not there, or its reader refuses it; the message says which.
    """
    files = folder.open_all(paths)
    if not folder.far:
        return [read_file(file) for file in files]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(read_file, files))


def read_folder(folder: Folder) -> Facts:
    """Read what a folder states, whatever its format.

    Raises:
        SourceError: no file in it tells a known format, or its reader refuses it; the message
            says where.
    """
    try:
        files = folder.files()
        row = find_folder_format(files)
        if row is None and "saved_model.pb" in files:
            raise _not_yet("a TensorFlow SavedModel")
        if row is None and not set(files).isdisjoint(_ORBAX):
            raise UnsupportedError(
                "checkpoints of Orbax are not read yet",
                do="Restore it with orbax.checkpoint and save flax.serialization.to_bytes of it "
                "as a .msgpack file.",
            )
        if row is None:
            raise SourceError(
                "no file in this folder says that it is a checkpoint",
                seen=", ".join(files[:3]) + (", ..." if len(files) > 3 else "") or "no file",
                do=_within(folder),
            )
        return _read_with(row, folder)
    except WeighError as error:
        raise error.at(folder.name) from None


def _within(folder: Folder) -> str:
    """Say what to name instead of a folder that is no checkpoint."""
    inner = folder.folders()
    if not inner:
        return "Name a file in it."
    more = ", ..." if len(inner) > _NAMED else "."
    return f"Name a file, or one of the folders in it: {', '.join(inner[:_NAMED])}{more}"


def _not_yet(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} is not read yet", do="Save the model from Keras as .keras or .weights.h5."
    )


def _read_with(row: Format, source: ByteSource | Folder) -> Facts:
    read = row.load()
    try:
        return cast(Facts, read(source))
    except ModuleNotFoundError as error:
        raise missing(row, error) from None


def _format_of(source: ByteSource) -> Format:
    if source.size == 0:
        raise FormatError("the file is empty")
    head = bytes(source.view(0, min(source.size, _HEAD)))
    _refuse_stand_in(head)
    name = source.name.replace("\\", "/").rpartition("/")[2]
    if _DCP.fullmatch(name):
        raise SourceError(
            "one of several files that torch.distributed.checkpoint wrote",
            do="Name the folder that it lies in.",
        )
    listed: list[Collection[str]] = []

    def members() -> Collection[str]:
        from weigh._sources.zips import read_directory  # most files are no archives

        if not listed:
            listed.append(read_directory(source) if head.startswith(ZIP) else ())
        return listed[0]

    row = find_format(head, name, members)
    if row is None and head[4:8] == b"TFL3":
        raise _not_yet("a TensorFlow Lite model (.tflite)")
    if row is None:
        broken = added()[1]
        raise SourceError(
            "not a checkpoint that Weigh can read",
            seen=f"a file that begins with {head[:8]!r}",
            do=f"It reads: {', '.join(one.name for one in FORMATS)}."
            + (f" These formats of other packages failed: {'; '.join(broken)}." if broken else ""),
        )
    return row


def _refuse_stand_in(head: bytes) -> None:
    """Name what is often found in place of a file, whatever the file is called.

    Raises:
        SourceError: it is such a thing.
    """
    if head.startswith(_LFS):
        raise SourceError(
            "a Git LFS pointer, not the file itself", do="Run git lfs pull, or fetch it anew."
        )
    if head.lstrip().lower().startswith(_HTML):
        raise SourceError(
            "a web page, not a checkpoint",
            do="It may be what a site answered in place of the file: fetch it anew.",
        )
