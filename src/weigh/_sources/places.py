"""Which place a URL names, and what opens it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from weigh._errors import SourceError, UsageError, WeighError, without_secrets
from weigh._facts import Facts
from weigh._sources.reading import read_folder, read_named
from weigh._sources.remote import AbsentError, RemoteFile, RemoteFolder, Store

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


def is_url(text: str) -> bool:
    """Whether a text names a place by a URL, and not a file on this machine.

    Examples:
        >>> is_url("s3://bucket/model.safetensors"), is_url("C:/model.safetensors")
        (True, False)
    """
    return _URL.match(text) is not None


def read_place(url: str) -> Facts:
    """Read what a file or a folder in a far place states; see ``open_place``."""
    place = open_place(url)
    return read_named(place) if isinstance(place, RemoteFile) else read_folder(place)


def open_place(url: str) -> RemoteFile | RemoteFolder:
    """Open what a URL names: a file, or a folder where it ends in ``/`` or no file is found.

    Args:
        url: such as ``https://host/model.safetensors``, ``s3://bucket/folder/`` or
            ``hf://organisation/name``.

    Raises:
        UsageError: it is no URL.
        UnsupportedError: no such place is known, or the library for it is not installed.
        SourceError: there is nothing of that name, or it cannot be read.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # may be no number
    except ValueError:
        # Not a word of it: it may be a password whose "/" made it invalid.
        do = "Write what is special in a user or a password as %2F and the like."
        raise UsageError("this is no valid URL", do=do) from None
    shown = without_secrets(url)
    try:
        return _open(parts, shown)
    except WeighError as error:
        raise error.at(shown) from None


def _open(parts: SplitResult, shown: str) -> RemoteFile | RemoteFolder:
    opener = _OPENERS.get(parts.scheme.lower(), _any)
    store, key = opener(parts)
    above, _, _ = key.rpartition("/")
    above += "/" if above or key.startswith("/") else ""
    shown = shown.partition("#")[0]
    if key and not key.endswith("/"):
        folder = RemoteFolder(store, above, name=shown[: shown.rfind("/") + 1])
        try:
            return RemoteFile(store, key, name=shown, beside=folder)
        except AbsentError:
            if parts.scheme.lower() in ("http", "https"):
                raise
            found = RemoteFolder(store, f"{key}/", name=f"{shown}/")
            if not _holds_anything(found):
                raise
            return found
    return RemoteFolder(store, key, name=shown if shown.endswith("/") else f"{shown}/")


def _holds_anything(folder: RemoteFolder) -> bool:
    try:
        return bool(folder.files() or folder.folders())
    except SourceError:
        return False  # that there is no such file is said better by who looked for it


def _http(parts: SplitResult) -> tuple[Store, str]:
    from weigh._sources.http_store import HttpStore

    if not parts.hostname:
        raise UsageError("this URL names no host")
    return HttpStore(parts), parts.path or "/"


def _object_store(parts: SplitResult) -> tuple[Store, str]:
    from weigh._sources.object_store import open_store

    return open_store(parts)


def _hub(parts: SplitResult) -> tuple[Store, str]:
    from weigh._sources.hub_store import open_hub

    return open_hub(parts)


def _any(parts: SplitResult) -> tuple[Store, str]:
    from weigh._sources.fsspec_store import open_any

    return open_any(parts)


_OPENERS: dict[str, Callable[[SplitResult], tuple[Store, str]]] = {
    "http": _http,
    "https": _http,
    "s3": _object_store,
    "s3a": _object_store,
    "gs": _object_store,
    "az": _object_store,
    "abfs": _object_store,
    "abfss": _object_store,
    "hf": _hub,
}
