"""HTTP connections that are kept open between requests, through the proxy where there is one."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import urllib.request
import weakref
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from urllib.parse import SplitResult, unquote, urlsplit

from weigh._errors import SourceError, UnsupportedError
from weigh._sources.patience import PassingError

_IDLE = 16
_Origin = tuple[str, str]


class Connections:
    """Sends requests; each thread that asks gets a connection of its own.

    Args:
        timeout: how many seconds a server may be silent.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._idle: dict[_Origin, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def answer(
        self, url: SplitResult, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a GET, and give the answer with its body still to be read.

        Raises:
            PassingError: the connection failed in a way that may pass.
            SourceError: it failed for good: no such host, a certificate that is not trusted.
        """
        origin = (url.scheme, url.netloc.rpartition("@")[2])
        with self._lock:
            kept = self._idle.get(origin)
            connection = kept.pop() if kept else None
        reused = connection is not None
        whole = False
        try:
            connection = connection or self._new(url)
            try:
                answer = self._send(connection, url, headers)
            except (OSError, http.client.HTTPException):
                if not reused:
                    raise
                # The server may close a connection that was idle, at any moment.
                connection.close()
                connection = self._new(url)
                answer = self._send(connection, url, headers)
            with closing(answer):
                yield answer
                whole = answer.isclosed() and not answer.will_close
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise _told(error) from None
        finally:
            if connection is not None:
                self._put_back(origin, connection) if whole else connection.close()

    def _put_back(self, origin: _Origin, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            kept = self._idle.setdefault(origin, [])
            if len(kept) < _IDLE:
                kept.append(connection)
                return
        connection.close()

    def _send(
        self, connection: http.client.HTTPConnection, url: SplitResult, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        extra = dict(headers)
        proxy = _proxy(url)
        if proxy is not None and url.scheme == "http":
            target = f"http://{url.netloc.rpartition('@')[2]}{target}"
            extra |= _proxy_headers(proxy)
        connection.request("GET", target, headers=extra)
        # The timeout begins anew with every byte; a head that drips must end too.
        watch = threading.Timer(2 * self._timeout, _hang_up, [connection.sock])
        watch.daemon = True
        watch.start()
        try:
            return connection.getresponse()
        finally:
            watch.cancel()

    def _new(self, url: SplitResult) -> http.client.HTTPConnection:
        host, port = url.hostname or "", url.port
        proxy = _proxy(url)
        at = (host, port) if proxy is None else (proxy.hostname or "", proxy.port)
        if url.scheme == "http":
            return http.client.HTTPConnection(*at, timeout=self._timeout)
        secure = http.client.HTTPSConnection(*at, timeout=self._timeout, context=self._trust)
        if proxy is not None:
            secure.set_tunnel(host, port, _proxy_headers(proxy))
        return secure

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        # What the system trusts; SSL_CERT_FILE and SSL_CERT_DIR name other certificates.
        return ssl.create_default_context()


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _close(idle: Mapping[_Origin, list[http.client.HTTPConnection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()


def _proxy(url: SplitResult) -> SplitResult | None:
    """Find the proxy that the environment or the system states for a URL."""
    stated = urllib.request.getproxies()
    text = stated.get(url.scheme) or stated.get("all")
    if not text or urllib.request.proxy_bypass(url.netloc.rpartition("@")[2]):
        return None
    proxy = urlsplit(text if "://" in text else f"http://{text}")
    if proxy.scheme != "http":
        raise UnsupportedError(
            "the proxy is of a kind that is not spoken here",
            seen=f"{proxy.scheme}://",
            do="Set https_proxy to one of http://, or no_proxy to this host.",
        )
    return proxy


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    return {"Proxy-Authorization": basic(proxy)} if proxy.username else {}


def basic(url: SplitResult) -> str:
    """Write the user and the password of a URL as the header of a request (RFC 7617)."""
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _told(error: Exception) -> SourceError:
    """Say in words what went wrong with a connection."""
    reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        return SourceError(
            "the server's certificate is not trusted",
            seen=error.verify_message,
            do="Set SSL_CERT_FILE to a file of the certificates that you trust.",
        )
    if isinstance(error, http.client.InvalidURL | UnicodeError):
        return SourceError("this is no valid URL", seen=reason)
    # socket.gaierror, which is not imported for its name alone
    if type(error).__name__ == "gaierror":
        return SourceError("the host cannot be found", seen=reason, do="Check its name.")
    if isinstance(error, TimeoutError):
        return PassingError(
            "the server does not answer in time", do="Set WEIGH_TIMEOUT to more seconds."
        )
    return PassingError("the connection failed", seen=reason, do="Try again.")
