"""The Hugging Face Hub as a place: huggingface_hub says where a file is, and who asks."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

from weigh._errors import SourceError, UnsupportedError
from weigh._sources.http_store import HttpStore
from weigh._sources.remote import AbsentError, Piece, literal_path

_SIGN_IN = "Run: hf auth login; a gated model's terms are accepted on its page."


def open_hub(url: SplitResult) -> tuple[HubStore, str]:
    """Open the Hub (or what ``HF_ENDPOINT`` says), and give the path of ``hf://`` on it.

    Raises:
        UnsupportedError: huggingface_hub is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise UnsupportedError(
            "reading hf:// needs a library that is not installed",
            seen=str(error),
            do="Run: pip install 'weigh[hf]'.",
        ) from None
    return HubStore(huggingface_hub), url.netloc + literal_path(url)


class HubStore:
    """The Hub. Names, revisions and lists go through ``HfFileSystem``; bytes come by plain HTTP.

    Its own way to bytes asks for each file's particulars first, and does not notice a file that
    changes.

    Args:
        hub: the module ``huggingface_hub``.
    """

    def __init__(self, hub: Any) -> None:
        self._hub, self._files = hub, hub.HfFileSystem()
        token = hub.get_token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = HttpStore(urlsplit(self._files.endpoint), headers, sign_in=_SIGN_IN)

    def join(self, prefix: str, path: str) -> str:
        """Make a path."""
        return prefix + path

    def get(self, key: str, start: int, stop: int, version: str | None) -> Piece:
        """Fetch a range with one request and its redirects; see ``Store.get``."""
        try:
            at = self._files.resolve_path(key)  # asks once for each repository
            if not (path := getattr(at, "path_in_repo", "")):
                raise AbsentError("this names a repository, not a file")
            url = self._hub.hf_hub_url(
                at.repo_id,
                path,
                repo_type=at.repo_type,
                revision=at.revision,
                endpoint=self._files.endpoint,
            )
        except SourceError:
            raise
        except Exception as error:  # huggingface_hub's are of many kinds
            raise _told(error) from None
        return self._http.get(urlsplit(url).path, start, stop, version)

    def list(self, prefix: str) -> tuple[list[str], list[str]]:
        """List what is right below a path; see ``Store.list``."""
        try:
            found = self._files.ls(prefix.rstrip("/"), detail=True)
        except Exception as error:  # as above
            raise _told(error) from None
        names = [(one["name"].rpartition("/")[2], one["type"]) for one in found]
        return (
            [name for name, kind in names if kind == "file"],
            [name for name, kind in names if kind == "directory"],
        )


def _told(error: Exception) -> SourceError:
    line = " ".join(str(error).split())[:200]
    if isinstance(error, FileNotFoundError):
        do = f"Check the name. {_SIGN_IN}"
        return SourceError("the Hub has no such repository, revision or folder", seen=line, do=do)
    if isinstance(error, ValueError | NotImplementedError):
        return SourceError("this names nothing on the Hub", seen=line, do="hf://NAMESPACE/NAME")
    return SourceError("the Hub cannot be read", seen=line, do="Try again later.")
