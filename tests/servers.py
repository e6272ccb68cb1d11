"""Real servers on this machine that count what they are asked: they serve ranges, or misbehave."""

from __future__ import annotations

import re
import socketserver
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Asked:
    """One request: its path and query, its headers, and the bytes of body that went back."""

    path: str
    headers: dict[str, str]
    sent: int = 0


@dataclass
class Web:
    """A web server's files, and what it was asked.

    ``before`` may hold, by path, functions that answer in place of the server, once each.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    before: dict[str, list[Answer]] = field(default_factory=dict)
    always: dict[str, Answer] = field(default_factory=dict)
    etags: bool = True
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    pause: float = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sent(self) -> int:
        return sum(one.sent for one in self.asked)

    @property
    def ranges(self) -> list[str]:
        return [one.headers.get("range", "") for one in self.asked]

    def forget(self) -> None:
        self.asked.clear()


@dataclass
class Answer:
    """An answer that is not the file: a status, headers, a body; then perhaps a broken line."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang_up: bool = False
    wait: float = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes
    web: Web

    def setup(self) -> None:
        super().setup()
        self.web.connections += 1

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        web = self.web
        asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
        with web.lock:
            web.asked.append(asked)
            web.at_once += 1
            web.most_at_once = max(web.most_at_once, web.at_once)
        try:
            time.sleep(web.pause)
            self._answer(asked, urlsplit(self.path).path)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True
        finally:
            with web.lock:
                web.at_once -= 1

    def _answer(self, asked: Asked, path: str) -> None:
        planned = self.web.before.get(path)
        answer = planned.pop(0) if planned else self.web.always.get(path)
        if answer is None:
            answer = self._file(path)
        time.sleep(answer.wait)
        self.send_response(answer.status)
        headers = {"Content-Length": str(len(answer.body))} | answer.headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        asked.sent += len(answer.body)  # first: the client may look as soon as it has them
        self.wfile.write(answer.body)
        self.close_connection = self.close_connection or answer.hang_up

    def _file(self, path: str) -> Answer:
        data = self.web.files.get(path)
        if data is None:
            return Answer(404)
        tag = f'"{hash(data):x}"'
        headers = {"Last-Modified": "Tue, 01 Jan 2030 00:00:00 GMT"}
        if self.web.etags:
            headers["ETag"] = tag
        if self.headers.get("If-Match", tag) != tag:
            return Answer(412)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if found is None:
            return Answer(200, headers, data)
        start, stop = int(found[1]), min(int(found[2]) + 1, len(data))
        if start >= len(data):
            return Answer(416, {"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return Answer(206, headers, data[start:stop])


@contextmanager
def web_server(certificate: Path | None = None) -> Iterator[Web]:
    """Run a web server until the end of the block; with a certificate, over TLS."""
    web = Web()
    handler = type("Handler", (_Handler,), {"web": web})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake is each connection's own affair: one that fails must not stop the server.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        web.url = web.url.replace("http:", "https:")
    with _serving(server):
        yield web


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Let a server answer in a thread of its own until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def s3_server() -> Iterator[Web]:
    """Run an S3-compatible server, moto's, until the end of the block; ``put`` fills it."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    web = Web()
    application = DomainDispatcherApplication(create_backend_app)

    def counting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        names = ("HTTP_RANGE", "HTTP_IF_MATCH", "HTTP_AUTHORIZATION")
        headers = {n[5:].lower().replace("_", "-"): environ[n] for n in names if n in environ}
        asked = Asked(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", headers)
        with web.lock:
            web.asked.append(asked)
        for piece in application(environ, start_response):
            asked.sent += len(piece)
            yield piece

    server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=_quiet())
    web.url = f"http://127.0.0.1:{server.server_port}"
    with _serving(server):
        yield web


def _quiet() -> Any:
    from werkzeug.serving import WSGIRequestHandler

    return type("Quiet", (WSGIRequestHandler,), {"log": lambda *_: None})


def put(web: Web, path: str, data: bytes = b"") -> None:
    """Put an object, or make a bucket, with a plain request."""
    connection = HTTPConnection(urlsplit(web.url).netloc)
    connection.request("PUT", path, data)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200, answer.status
