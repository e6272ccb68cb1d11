"""Servers of this machine that hold a folder and count: those of the tests, in their own process.

``python -m benchmarks.served FOLDER`` prints their URLs as JSON; for every line on its standard
input it prints what was asked of them since.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmarks.measure import ROOT

MOST_SERVED = 248
"""MB; one of the servers keeps its files in memory."""


class Count(NamedTuple):
    """How many requests came, and how many bytes of body went."""

    requests: float
    sent: float


class Served:
    """The servers of a folder; within the block, the environment leads S3 clients to them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.served", str(self._folder)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._child = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
        started = self._line()
        self.urls: dict[str, str] = started["urls"]
        os.environ.update(started["environment"])
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stdin.close()  # type: ignore[union-attr]
        self._child.wait(10)
        self._child.stdout.close()  # type: ignore[union-attr]

    def _line(self) -> Any:
        return json.loads(self._child.stdout.readline())  # type: ignore[union-attr]

    def count(self) -> Count:
        """Give what was asked since the last time."""
        self._child.stdin.write("\n")  # type: ignore[union-attr]
        self._child.stdin.flush()  # type: ignore[union-attr]
        return Count(*self._line())


def _serve(folder: Path) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from servers import put, s3_server, web_server

    with web_server() as web, s3_server() as s3:
        put(s3, "/bucket")
        for path in folder.iterdir():
            data = path.read_bytes()
            web.files[f"/model/{path.name}"] = data
            put(s3, f"/bucket/model/{path.name}", data)
        s3.forget()
        environment = {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": s3.url,
        }
        urls = {"http": f"{web.url}/model", "s3": "s3://bucket/model"}
        print(json.dumps({"urls": urls, "environment": environment}), flush=True)
        for _ in sys.stdin:
            count = [len(web.asked) + len(s3.asked), web.sent + s3.sent]
            web.forget()
            s3.forget()
            print(json.dumps(count), flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
