"""Plain web servers as a place: range requests (RFC 9110, section 14) by the standard library."""

from __future__ import annotations

import re
import threading
import time
from http.client import HTTPResponse, IncompleteRead
from typing import NoReturn
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from weigh._errors import SourceError, UnsupportedError
from weigh._sources.connections import Connections, basic
from weigh._sources.patience import TRIES, PassingError, patiently, timeout
from weigh._sources.remote import FIRST, AbsentError, Piece, changed

_RANGE = re.compile(r"bytes +(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_NO_RANGE = re.compile(r"bytes +\*/(\d{1,18})")
_REDIRECTS, _HOPS = (301, 302, 303, 307, 308), 10
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_REFUSED = (401, 403, 407, 451)
_SIGN_IN = "Check the user and the password, or whether a signed URL has expired."
_PATH = "/%:@!$&'()*+,;=~"
_CHUNK = 1 << 20
_SLOWEST = 10_000  # bytes a second


class HttpStore:
    """A web server.

    Args:
        url: a URL on it. Its user and password go into every request to this server, and to no
            other; its query into every request that names a file.
        headers: what else to send to this server, such as a token.
        sign_in: what to do when it refuses access.
    """

    def __init__(
        self, url: SplitResult, headers: dict[str, str] | None = None, *, sign_in: str = _SIGN_IN
    ) -> None:
        self._sign_in = sign_in
        self._root = _ascii(url)._replace(netloc=url.netloc.rpartition("@")[2], path="")
        self._own = dict(headers or {})
        if url.username:
            self._own["Authorization"] = basic(url)
        self._timeout = timeout()
        self._connections = Connections(self._timeout)
        self._moved: dict[str, SplitResult] = {}
        self._lock = threading.Lock()

    def join(self, prefix: str, path: str) -> str:
        """Make the path of a URL."""
        return prefix + quote(path)

    def list(self, prefix: str) -> NoReturn:  # noqa: ARG002
        """Refuse: a web server has no lists.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("a web server cannot list a folder", do="Name a file in it.")

    def get(self, key: str, start: int, stop: int, version: str | None) -> Piece:
        """Fetch a range with one request, and one more for each redirect; see ``Store.get``.

        Where a redirect led is asked directly the next time.
        """
        headers = {
            "Range": f"bytes={start}-{stop - 1}",
            # Packed bytes would be ranges of something else.
            "Accept-Encoding": "identity",
            "User-Agent": "weigh",
        }
        if version is not None and version.startswith('"'):
            headers["If-Match"] = version
        with self._lock:
            moved = self._moved.get(key)
        if moved is not None:
            try:
                return patiently(lambda: self._follow(key, moved, headers, start, stop))
            except SourceError:
                # What it leads to may have expired: ask the way again.
                with self._lock:
                    self._moved.pop(key, None)
        url = _ascii(self._root._replace(path=key))
        return patiently(lambda: self._follow(key, url, headers, start, stop))

    def _follow(
        self, key: str, url: SplitResult, headers: dict[str, str], start: int, stop: int
    ) -> Piece:
        first = url
        for _ in range(_HOPS):
            own = self._own if _same_server(url, self._root) else {}
            with self._connections.answer(url, headers | own) as answer:
                if answer.status not in _REDIRECTS:
                    piece = _read(answer, start, stop, self._timeout, self._sign_in)
                    if url is not first:
                        with self._lock:
                            self._moved[key] = url
                    return piece
                if (answer.length or 0) <= FIRST:
                    answer.read(FIRST)  # so that the connection can be used again
                url = _next(url, answer.headers.get("Location", ""))
        raise SourceError("the server sends us round in circles", seen=f"{_HOPS} redirects")


def _same_server(a: SplitResult, b: SplitResult) -> bool:
    return (a.scheme, a.netloc.rpartition("@")[2]) == (b.scheme, b.netloc.rpartition("@")[2])


def _next(url: SplitResult, location: str) -> SplitResult:
    """Find where a redirect leads; never from a safe connection to an open one."""
    try:
        there = urlsplit(urljoin(url.geturl(), location.strip()))
        _ = there.port  # may be no number
    except ValueError:
        there = urlsplit("")
    fine = there.scheme == "https" or (there.scheme == "http" and url.scheme == "http")
    if not location or not fine or not there.hostname:
        raise SourceError("the server redirects to a place we do not go", seen=repr(location[:200]))
    return _ascii(there)


def _ascii(url: SplitResult) -> SplitResult:
    """Write a URL's path and query as a request must; what is written so already stays."""
    path, query = quote(url.path, safe=_PATH), quote(url.query, safe=_PATH + "?")
    return url._replace(path=path, query=query, fragment="")


def _read(answer: HTTPResponse, start: int, stop: int, patience: float, sign_in: str) -> Piece:
    """Read the body of an answer, once its head says that it is what was asked for."""
    status = answer.status
    if status not in (200, 206):
        if status == 416 and start == 0:
            empty = _NO_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
            if empty and int(empty[1]) == 0:
                return Piece(memoryview(b""), 0, _version(answer))
        _refuse(answer, sign_in)
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packed != "identity":
        raise SourceError(
            "the server sends the file compressed, so its ranges are of no use",
            seen=f"Content-Encoding: {packed}",
            do="Download the file first.",
        )
    first, last, size = _whole(answer, start) if status == 200 else _stated(answer)
    if first != start or last != min(stop, size):
        raise SourceError(
            "the server answers with another range than it was asked for",
            seen=f"bytes {first:,} to {last:,} of {size:,}",
            do="Download the file first.",
        )
    return Piece(_body(answer, last - first, patience), size, _version(answer))


def _stated(answer: HTTPResponse) -> tuple[int, int, int]:
    """Give the first byte, the one after the last, and the size that a 206 states."""
    text = answer.headers.get("Content-Range", "")
    found = _RANGE.fullmatch(text.strip())
    if found is None or found[3] == "*":
        raise SourceError(
            "the server does not say which bytes it sends, and of how many",
            seen=f"Content-Range: {text[:100]}",
            do="Download the file first.",
        )
    return int(found[1]), int(found[2]) + 1, int(found[3])


def _whole(answer: HTTPResponse, start: int) -> tuple[int, int, int]:
    """Take a whole file for an answer, if it is no larger than the first range."""
    length = answer.length
    if start or length is None or length > FIRST:
        raise UnsupportedError(
            "the server does not answer range requests",
            seen="the whole file" + ("" if length is None else f", {length:,} bytes"),
            do="Download the file first, or ask a server that does.",
        )
    return 0, length, length


def _version(answer: HTTPResponse) -> str:
    headers = answer.headers
    return str(headers.get("ETag") or headers.get("Last-Modified") or "").strip()


def _refuse(answer: HTTPResponse, sign_in: str) -> NoReturn:
    status, seen = answer.status, f"{answer.status} {answer.reason}".strip()[:100]
    if status in (404, 410):
        raise AbsentError("there is no such file", seen=seen, do="Check the URL.")
    if status in (412, 416):
        raise changed()
    if status in _REFUSED:
        raise SourceError("the server refuses access", seen=seen, do=sign_in)
    if status in _PASSING:
        raise PassingError("the server fails", seen=f"{seen}, {TRIES} times", do="Try again later.")
    raise SourceError("the server does not answer with the file", seen=seen)


def _body(answer: HTTPResponse, length: int, patience: float) -> memoryview:
    """Read exactly so many bytes; memory grows only as they come."""
    data = bytearray()
    until = time.monotonic() + patience + length / _SLOWEST
    try:
        while len(data) < length:
            piece = answer.read1(min(_CHUNK, length - len(data)))
            if not piece:
                break
            data += piece
            if time.monotonic() > until:
                raise TimeoutError
    except IncompleteRead as error:
        data += error.partial
    if len(data) < length:
        raise PassingError(
            "the answer was cut short",
            seen=f"{len(data):,} bytes of {length:,}, {TRIES} times",
            do="Try again.",
        )
    # At the end of the answer, it lets go of the connection, which can be used again then.
    answer.read(1)
    return memoryview(data).toreadonly()
