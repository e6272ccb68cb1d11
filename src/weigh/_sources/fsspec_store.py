"""Every other place that fsspec knows, such as ``sftp://`` or ``memory://``."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from urllib.parse import SplitResult

from weigh._errors import SourceError, UnsupportedError
from weigh._sources.remote import AbsentError, Piece

_STATED = ("ETag", "etag", "mtime", "created", "LastModified", "last_modified", "md5", "modify")


def open_any(url: SplitResult) -> tuple[FsspecStore, str]:
    """Open the file system that a URL names, and give the path on it.

    Raises:
        UnsupportedError: fsspec, or what it needs for this scheme, is not installed; or it does
            not know the scheme.
        SourceError: it cannot be opened.
    """
    try:
        url_to_fs = import_module("fsspec.core").url_to_fs
    except ImportError as error:
        raise UnsupportedError(
            f"reading {url.scheme}:// needs a library that is not installed",
            seen=str(error),
            do="Run: pip install 'weigh[fsspec]'.",
        ) from None
    try:
        system, path = url_to_fs(url.geturl())
    except ImportError as error:
        raise UnsupportedError(
            f"reading {url.scheme}:// needs a library that is not installed",
            seen=_line(error),
            do="Install it beside fsspec.",
        ) from None
    except ValueError as error:
        raise UnsupportedError(
            f"{url.scheme}:// is no place that can be read", seen=_line(error)
        ) from None
    except Exception as error:  # any library's
        raise _told(error) from None
    # A path that is stripped of its last "/" could not be told from a file.
    return FsspecStore(system), path if not url.path.endswith("/") else f"{path.rstrip('/')}/"


class FsspecStore:
    """A file system of fsspec's.

    A condition cannot be put into its requests, so a file's particulars are asked for again
    after each range, and compared.

    Args:
        system: an ``AbstractFileSystem``.
    """

    def __init__(self, system: Any) -> None:
        self._system = system

    def join(self, prefix: str, path: str) -> str:
        """Make a path."""
        return prefix + path

    def get(self, key: str, start: int, stop: int, version: str | None) -> Piece:
        """Fetch a range; see ``Store.get``. The first takes two requests, as do later ones."""
        try:
            if version is None:
                size, version = self._particulars(key)
                data = self._system.cat_file(key, start=start, end=min(stop, size)) if size else b""
            else:
                data = self._system.cat_file(key, start=start, end=stop)
                size, version = self._particulars(key)
        except SourceError:
            raise
        except FileNotFoundError:
            raise AbsentError("there is no such file", do="Check the URL.") from None
        except Exception as error:  # any library's
            raise _told(error) from None
        return Piece(memoryview(data).toreadonly(), size, version)

    def _particulars(self, key: str) -> tuple[int, str]:
        self._system.invalidate_cache(self._system._parent(key))
        found = self._system.info(key)
        if found.get("type") == "directory":
            raise AbsentError("this is a folder, not a file")
        size = found.get("size")
        if not isinstance(size, int) or size < 0:
            raise SourceError("this place does not say how large the file is")
        return size, " ".join(str(found[name]) for name in _STATED if name in found)

    def list(self, prefix: str) -> tuple[list[str], list[str]]:
        """List what is right below a path; see ``Store.list``."""
        try:
            found = self._system.ls(prefix.rstrip("/") or "/", detail=True)
        except FileNotFoundError:
            return [], []
        except Exception as error:  # any library's
            raise _told(error) from None
        names = [(one["name"].rstrip("/").rpartition("/")[2], one["type"]) for one in found]
        return (
            [name for name, kind in names if kind == "file"],
            [name for name, kind in names if kind == "directory"],
        )


def _told(error: Exception) -> SourceError:
    return SourceError("this place cannot be read", seen=f"{type(error).__name__}: {_line(error)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
