"""Object stores as a place: S3, Google Cloud Storage and Azure, through obstore."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from weigh._errors import SourceError, UnsupportedError, UsageError
from weigh._sources.patience import TRIES, timeout
from weigh._sources.remote import AbsentError, Piece, changed, literal_path

_STATUS = re.compile(r"status code: (\d{3} ?[A-Za-z ]{0,40})|status: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_EMPTY = re.compile(r"<ActualObjectSize>0</ActualObjectSize>|bytes \*/0\b")
_KEYLESS = re.compile(
    r"credential|169\.254\.169\.254|/latest/api/token|computemetadata|/oauth2/token|token request",
    re.IGNORECASE,
)
"""What a message holds that tells of the way to keys, and not of the object."""

_SIGN_IN = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a "
    "public bucket.",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS to the file of a key, or GOOGLE_SKIP_SIGNATURE=true "
    "for a public bucket.",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or "
    "AZURE_SKIP_SIGNATURE=true for a public container.",
}


def open_store(url: SplitResult) -> tuple[ObjectStore, str]:
    """Open the store that a URL names, and give the key of the object in it.

    Credentials, the region and the endpoint come from the environment, as each store's own tools
    take them (``AWS_...``, ``GOOGLE_...``, ``AZURE_...``); those of AWS also from its files.

    Raises:
        UnsupportedError: obstore is not installed.
        UsageError: the URL names no bucket.
        SourceError: the settings make no sense.
    """
    try:
        from obstore import store as stores
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise UnsupportedError(
            f"reading {url.scheme}:// needs a library that is not installed",
            seen=str(error),
            do="Run: pip install 'weigh[remote]'.",
        ) from None
    if not url.hostname:
        raise UsageError("this URL names no bucket")
    kind = "az" if url.scheme.startswith("ab") else "s3" if url.scheme == "s3a" else url.scheme
    made: Any = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}[kind]
    seconds = timeout()
    options: dict[str, Any] = {
        "client_options": {
            "allow_http": True,  # only an endpoint that the user states can be one
            # Without keys a cloud's own machines are asked for some, which may not be there.
            "connect_timeout": timedelta(seconds=min(seconds, 5)),
            "read_timeout": timedelta(seconds=seconds),
            "timeout": timedelta(days=1),  # of a whole answer, which may be large
            "user_agent": "weigh",
        },
        "retry_config": {
            "max_retries": TRIES - 1,
            "retry_timeout": timedelta(seconds=max(seconds, 10)),
            "backoff": {"init_backoff": timedelta(seconds=0.1)},
        },
    }
    try:
        settings = _from_files(os.environ) if kind == "s3" else {}
        store = made.from_url(f"{url.scheme}://{url.netloc}", **options, **settings)
    except (BaseError, ValueError, TypeError) as error:
        raise SourceError(
            "the store cannot be opened", seen=_first_line(error), do=_SIGN_IN[kind]
        ) from None
    return ObjectStore(store, kind), literal_path(url).removeprefix("/")


class ObjectStore:
    """A bucket, or a container.

    Args:
        store: one of obstore's stores.
        kind: ``"s3"``, ``"gs"`` or ``"az"``.
    """

    def __init__(self, store: Any, kind: str) -> None:
        self._store, self._kind = store, kind

    def join(self, prefix: str, path: str) -> str:
        """Make a key."""
        return prefix + path

    def get(self, key: str, start: int, stop: int, version: str | None) -> Piece:
        """Fetch a range with one request; see ``Store.get``."""
        import obstore

        options: dict[str, Any] = {"range": (start, stop)}
        if version is not None and version.startswith('"'):
            options["if_match"] = version
        try:
            answer = obstore.get(self._store, key, options=options)  # type: ignore[arg-type]
            meta = answer.meta
            if answer.range != (start, min(stop, meta["size"])):
                raise SourceError("the store answers with another range than it was asked for")
            stated = meta["e_tag"] or meta["last_modified"].isoformat()
            return Piece(memoryview(answer.bytes()).toreadonly(), meta["size"], stated)
        except SourceError:
            raise
        except Exception as error:  # what obstore raises is of many kinds
            if start == 0 and _EMPTY.search(str(error)):
                return Piece(memoryview(b""), 0, "empty")
            raise self._told(error) from None

    def list(self, prefix: str) -> tuple[list[str], list[str]]:
        """List what is right below a prefix; see ``Store.list``."""
        import obstore

        try:
            found = obstore.list_with_delimiter(self._store, prefix or None)
        except Exception as error:  # as above
            raise self._told(error) from None
        files = [_last(one["path"]) for one in found["objects"]]
        return files, [_last(path.rstrip("/")) for path in found["common_prefixes"]]

    def _told(self, error: Exception) -> SourceError:
        """Say in words what obstore says."""
        from obstore import exceptions

        text = str(error)
        status, code = _STATUS.search(text), _CODE.search(text)
        parts = [status[1] or status[2]] if status else []
        seen = " ".join([*(part.strip() for part in parts), *([code[1]] if code else [])])
        if isinstance(error, exceptions.PreconditionError) or (status and "416" in seen):
            return changed()
        bucket = code is not None and code[1] in ("NoSuchBucket", "ContainerNotFound")
        if isinstance(error, FileNotFoundError) and not bucket:
            return AbsentError("there is no such file", seen=seen, do="Check the URL.")
        if bucket or seen.startswith("404"):
            return SourceError("there is no such bucket", seen=seen, do="Check the URL.")
        refused = exceptions.PermissionDeniedError | exceptions.UnauthenticatedError
        if isinstance(error, refused):
            return SourceError("the store refuses access", seen=seen, do=_SIGN_IN[self._kind])
        if _KEYLESS.search(text):
            return SourceError(
                "no credentials for this store were found",
                seen=_first_line(error),
                do=_SIGN_IN[self._kind],
            )
        if "LengthMismatch" in text or "end of file" in text or "decoding response" in text:
            return SourceError("the answer was cut short", seen=_first_line(error), do="Try again.")
        if "non-partial" in text.lower() or "NotPartial" in text:
            return UnsupportedError(
                "the server does not answer range requests", do="Download the file first."
            )
        if status:
            do = "Set AWS_REGION to the bucket's." if seen.startswith("301") else "Try again later."
            return SourceError("the store fails", seen=seen, do=do)
        return SourceError("the store cannot be read", seen=_first_line(error), do=_why(text))


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _why(text: str) -> str:
    if "dns error" in text or "failed to lookup" in text:
        return "The host cannot be found: check the endpoint and the region."
    if "timed out" in text or "Timeout" in text:
        return "It did not answer in time: set WEIGH_TIMEOUT to more seconds."
    return "Check the connection and the endpoint."


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0]
    line = re.sub(r" in [0-9.]+(ns|µs|ms|s)\b", "", line)
    return (line or type(error).__name__)[:300]


def _from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """Take from AWS's own files what the environment does not say, for stores that sign by a key.

    ``~/.aws/credentials`` and ``~/.aws/config`` hold a section for each profile.
    """
    if any(environment.get(name) for name in _OTHER_WAYS):
        return {}
    profile = environment.get("AWS_PROFILE") or "default"
    secrets = _section(environment.get("AWS_SHARED_CREDENTIALS_FILE"), "credentials", profile)
    section = profile if profile == "default" else f"profile {profile}"
    config = _section(environment.get("AWS_CONFIG_FILE"), "config", section)
    found: dict[str, str] = {}
    for stated, name in _KEYS.items():
        value = secrets.get(stated) or config.get(stated)
        if value:
            found[name] = value
    if not {"access_key_id", "secret_access_key"} <= set(found):
        found = {}
    region = config.get("region")
    if region and not (environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")):
        found["region"] = region
    return found


_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_OTHER_WAYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def _section(stated: str | None, name: str, section: str) -> Mapping[str, str]:
    path = Path(stated) if stated else Path.home() / ".aws" / name
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    return dict(parser.items(section)) if parser.has_section(section) else {}
