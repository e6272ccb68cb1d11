"""Terminals to test with: one that answers as it is told to, and decoders of what is written."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyte
from PIL import Image

Answer = Callable[[bytes], bytes]
"""What a terminal answers to all that was written to it since it last answered."""

CHILD = r"""
import fcntl, json, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from functools import partial
from weigh._pictures.asking import ask
from weigh._pictures.terminal import terminal_of
out, patience = sys.argv[1], float(sys.argv[2])
background, typed = int(sys.argv[3]), int(sys.argv[4])
os.write(1, b"ready!")
if background:
    child = os.fork()
    if child:
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            json.dump({"stopped": True}, open(out, "w"))
            os.kill(child, 9)
        sys.exit()
    os.setpgid(0, 0)
if typed & 2:
    import select
    select.select([0], [], [], 30)
before = termios.tcgetattr(0)
told = {}
try:
    t = terminal_of(sys.stdout, ask=partial(ask, patience=patience))
    told = {name: getattr(t, name) for name in type(t).__match_args__}
except KeyboardInterrupt:
    told = {"interrupted": True}
told["restored"] = termios.tcgetattr(0) == before
if typed:
    import select
    told["line"] = sys.stdin.readline() if select.select([0], [], [], 5)[0] else ""
json.dump(told, open(out, "w"))
"""


def told_by(
    answer: Answer,
    environ: Mapping[str, str],
    *,
    patience: float = 10.0,
    background: bool = False,
    before: bytes = b"",
    reads: bool = False,
) -> dict[str, Any]:
    """Tell what a process says of the terminal that it runs in.

    Args:
        answer: what the terminal answers.
        environ: the variables that tell of terminals.
        patience: how long the process waits.
        background: whether it is in the background.
        before: what somebody has typed before it asks.
        reads: whether it reads a line afterwards.
    """
    upper, lower = pty.openpty()
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "told.json"
        given = [str(out), str(patience), str(int(background)), str(int(reads) + 2 * bool(before))]
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, *given],
            stdin=lower,
            stdout=lower,
            stderr=subprocess.PIPE,
            env={**kept, "PYTHONIOENCODING": "utf-8", **environ},
            start_new_session=True,
        ) as process:
            os.close(lower)
            asked = _serve(upper, process, answer, before)
            complaint = process.stderr.read().decode() if process.stderr else ""
        os.close(upper)
        assert process.returncode == 0, complaint
        told: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return told | {"asked": asked}


def _serve(upper: int, process: subprocess.Popen[bytes], answer: Answer, before: bytes) -> bytes:
    """Answer until the process ends; give all that it wrote."""
    heard = fresh = b""
    ready = False
    while True:
        if select.select([upper], [], [], 0.01)[0]:
            try:
                got = os.read(upper, 65536)
            except OSError:  # nobody has the other end open
                break
            heard, fresh = heard + got, fresh + got
        elif process.poll() is not None:
            break
        if not ready and b"ready!" in fresh:
            ready, fresh = True, fresh.partition(b"ready!")[2]
            if before:
                os.write(upper, before)
        if ready:
            said = answer(fresh)
            if said:
                fresh = b""
                os.write(upper, said)
    return heard.partition(b"ready!")[2]


def pixels_of_kitty(text: str) -> tuple[np.ndarray[Any, Any], dict[str, str]]:
    """Decode a picture of kitty's protocol: its pixels, and what its first piece says of it."""
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    keys = [dict(pair.split("=") for pair in head.split(",")) for head, _ in pieces]
    assert [key["m"] for key in keys] == ["1"] * (len(pieces) - 1) + ["0"]
    assert all(len(data) <= 4096 for _, data in pieces)
    assert all(len(data) % 4 == 0 for _, data in pieces)
    data = base64.b64decode("".join(data for _, data in pieces), validate=True)
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB")), keys[0]


def pixels_of_sixel(text: str) -> np.ndarray[Any, Any]:
    """Decode a picture made of sixels: its pixels, -1 where none was set."""
    found = re.search(r"\x1bP[\d;]*q(.*?)\x1b\\", text, re.DOTALL)
    assert found
    tokens = re.findall(r'"[\d;]+|#[\d;]+|!\d+[?-~]|[?-~]|[$-]', found[1])
    assert "".join(tokens) == found[1]
    _, _, width, height = map(int, tokens[0][1:].split(";"))
    pixels = np.full((-(-height // 6) * 6, width, 3), -1)
    colours: dict[int, list[int]] = {}
    x = top = pen = 0
    for token in tokens[1:]:
        if token[0] == "#":
            numbers = [int(number) for number in token[1:].split(";")]
            if len(numbers) > 1:
                assert numbers[1] == 2
                colours[numbers[0]] = [round(part * 255 / 100) for part in numbers[2:]]
            pen = numbers[0]
        elif token == "$":
            x = 0
        elif token == "-":
            x, top = 0, top + 6
        else:
            often = int(token[1:-1]) if token[0] == "!" else 1
            bits = ord(token[-1]) - 63
            for row in range(6):
                if bits >> row & 1:
                    pixels[top + row, x : x + often] = colours[pen]
            x += often
            assert x <= width
    assert (pixels[height:] == -1).all()
    return pixels[:height]


class Screen:
    """What a terminal shows, by an emulator of another kind."""

    def __init__(self, text: str, columns: int, lines: int) -> None:
        self._screen = pyte.Screen(columns, lines)
        pyte.Stream(self._screen).feed(text.replace("\n", "\r\n"))

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    def letter(self, line: int, column: int) -> tuple[str, str, str]:
        """Give a letter, its colour and the colour behind it."""
        at = self._screen.buffer[line][column]
        return at.data, at.fg, at.bg

    def cell(self, half: int, column: int) -> tuple[str, str]:
        """Give the colour of half a letter, and a letter that is written over it."""
        data, ink, ground = self.letter(half // 2, column)
        if data == "▀":
            return (ink, ground)[half % 2], ""
        return ground, data.strip()
