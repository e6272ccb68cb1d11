"""Writing a page: whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile

from weigh._errors import SourceError, UsageError


def check_writable(path: str, sources: Iterable[object] = ()) -> None:
    """Refuse a place where no page should be, before an hour's work; ``-`` is standard output.

    Args:
        path: where the page would go.
        sources: what it would be of: no page takes the place of weights.

    Raises:
        UsageError: its name does not end as that of a page.
        SourceError: there is no such folder, it is a folder itself, or a source lies there.
    """
    if path == "-":
        return
    place = Path(path)
    if not place.parent.is_dir():
        what = "the page cannot be written: there is no such folder"
        raise SourceError(what, where=str(place.parent))
    if place.is_dir():
        raise SourceError("the page cannot be written: this is a folder", where=path)
    for source in sources:
        if _is_file_of(source, place):
            what = (
                "the page cannot be written: it would take the place of the network that it shows"
            )
            raise SourceError(what, where=path, do="Give the page another name.")
    a_file = place.is_file() or not place.exists()
    if a_file and place.suffix.lower() not in (".html", ".htm"):
        # A source that was meant to be compared would be lost.
        raise UsageError("a report is a page", seen=repr(path), do="Let the name end in .html.")


def _is_file_of(source: object, place: Path) -> bool:
    """Whether a source is a path, and leads to a place that is there."""
    try:
        return isinstance(source, (str, os.PathLike)) and place.samefile(source)
    except (OSError, ValueError):  # a URL, a name of the hub, or nothing
        return False


def write(page: str, path: str) -> None:
    """Write a page; who has opened the one before keeps it whole.

    Raises:
        SourceError: it cannot be written.
    """
    if path == "-":
        sys.stdout.write(page)
        return
    try:
        # What a link leads to is replaced, not the link; what is no file (a pipe) is written into.
        place = Path(path).resolve()
        if place.exists() and not place.is_file():
            place.write_text(page, "utf-8", newline="\n")
        else:
            _replace(page, place)
    except OSError as error:
        raise SourceError(
            "the page cannot be written", where=path, seen=error.strerror or str(error)
        ) from None


def _replace(page: str, place: Path) -> None:
    """Put a new file in the place of what is there, with the same permissions."""
    with NamedTemporaryFile(
        "w", dir=place.parent, prefix=f".{place.name[:80]}.", delete=False, encoding="utf-8",
        newline="\n",
    ) as made:  # fmt: skip
        new = Path(made.name)
        try:
            made.write(page)
            made.close()
            new.chmod(_mode(place))
            new.replace(place)
        except BaseException:
            new.unlink()
            raise


def _mode(place: Path) -> int:
    """Give the permissions of the file that is there, or those that a new one gets."""
    try:
        return place.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
