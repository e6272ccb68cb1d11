"""Files made to do harm, through the command line: one line, status 2, little memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

_MEMORY = 2 << 30
_SECONDS = 60
"""Far above what any case takes, far below what a loop without an end would."""


def weigh(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weigh", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each thread reserves memory
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY)),
    )


def refused(*arguments: str | Path) -> str:
    """Run a command that must be refused, and give its one line."""
    done = weigh(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.endswith("\n"), done
    assert done.stderr[:-1].isprintable(), done
    assert len(done.stderr) < 1000, done
    # "asks for more than this machine gives" is the last resort, not an answer.
    assert "this machine" not in done.stderr, done
    return done.stderr


def shown(path: Path) -> str:
    done = weigh("show", path)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "\x1b" not in done.stdout
    return done.stdout


def safetensors(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def one_tensor(shape: list[int], offsets: list[int], dtype: str = "F32") -> bytes:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return safetensors(json.dumps({"x": entry}).encode(), bytes(8))


def torch_zip(
    program: bytes, storage: bytes = bytes(16), packing: int = zipfile.ZIP_STORED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing, compresslevel=1) as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/data/0", storage)
    return buffer.getvalue()


def tensor(shape: tuple[int, ...], strides: tuple[int, ...], name: str = "x") -> bytes:
    """Write by hand the pickle of ``{name: tensor}`` over a storage of four floats."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    text = name.encode()
    return (
        b"\x80\x02}X" + struct.pack("<I", len(text)) + text
        + b"ctorch._utils\n_rebuild_tensor_v2\n"
        + b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ"
        + b"K\0" + numbers(shape) + numbers(strides) + b"\x89}tRs."
    )  # fmt: skip


TWICE = b'{"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},' * 2
MODULE = b"\x80\x02ctorch.nn\nModule\nq\x020"
"""Begins a pickle whose memo holds the class under 2."""


def module(children: bytes) -> bytes:
    """Write by hand a module with these children."""
    tables = b"}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}("
    return b"h\2)R" + tables + children + b"uub"


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(f"a/{name}", data)
    return buffer.getvalue()


def script(code: bytes) -> bytes:
    """A TorchScript archive of one module with this code."""
    top = b"\x80\x02c__torch__\nA\n)\x81}b."
    code_file = {"code/__torch__.py": code}
    return zipped({"data.pkl": top, "constants.pkl": b"\x80\x02).", **code_file})


def program(graph: bytes) -> bytes:
    """An exported program with this graph and no weights."""
    table = {"data/weights/m_weights_config.json": b'{"config": {}}'}
    return zipped({"archive_format": b"pt2", "models/m.json": graph, **table})


DEEP = b"\x80\x02})" + b"\x85" * 2_000_000 + b"Ns."
GOOD = torch_zip(tensor((2, 2), (2, 1)))

FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "an empty file": ("x.safetensors", lambda: b""),
    "a header of 2^63 bytes": ("x.safetensors", lambda: struct.pack("<Q", 2**63) + b"{}"),
    "a header longer than the file": ("x.safetensors", lambda: struct.pack("<Q", 10**7) + b"{}"),
    "90 MB of brackets": ("x.safetensors", lambda: safetensors(b"[" * 90_000_000)),
    "90 MB of brackets inside": ("x.safetensors", lambda: safetensors(b'{"x":' + b"[" * 9 * 10**7)),
    "braces within braces": ("x.safetensors", lambda: safetensors(b'{"a":' * 10**6 + b"}" * 10**6)),
    "an endless number": ("x.safetensors", lambda: safetensors(b'{"x":' + b"9" * 10**7 + b"}")),
    "a shape past the file": ("x.safetensors", lambda: one_tensor([2**40], [0, 2**42])),
    "a shape that wraps": ("x.safetensors", lambda: one_tensor([2**32, 2**32], [0, 0])),
    "an endless shape": ("x.safetensors", lambda: one_tensor([2] * 100_000, [0, 8])),
    "offsets backwards": ("x.safetensors", lambda: one_tensor([2], [8, 0])),
    "one name twice": ("x.safetensors", lambda: safetensors(TWICE[:-1] + b"}", bytes(8))),
    "a deep tuple as a key": ("x.pt", lambda: torch_zip(DEEP)),
    "a deep tuple alone": ("x.pt", lambda: DEEP),
    "deep lists": ("x.pt", lambda: torch_zip(b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b".")),
    "deep calls": ("x.pt", lambda: torch_zip(b"\x80\x02}K\0N" + b")R" * 500_000 + b"s.")),
    "deep ids": ("x.pt", lambda: torch_zip(b"\x80\x02}K\0N" + b"Q" * 500_000 + b"s.")),
    "a list in itself": ("x.pt", lambda: torch_zip(b"\x80\x02]q\0h\0a.")),
    "a mapping in itself": ("x.pt", lambda: torch_zip(b"\x80\x02}q\0K\x01h\0s.")),
    "a call in itself": ("x.pt", lambda: torch_zip(b"\x80\x02}K\0N)Rq\0h\0bs.")),
    "laughing lists": (
        "x.pt",
        lambda: torch_zip(b"\x80\x02]q\0" + b"".join(
            b"0](" + b"h%c" % i * 10 + b"eq%c" % (i + 1) for i in range(100)) + b"."),
    ),
    "twenty million lists": ("x.pt", lambda: torch_zip(b"\x80\x02" + b"]" * 20_000_000 + b".")),
    "a frame of 2^62 bytes": ("x.pt", lambda: torch_zip(b"\x80\x04\x95" + b"\xff" * 7 + b"\x3fN.")),
    "bytes of 2^60": ("x.pt", lambda: torch_zip(b"\x80\x04\x8e" + bytes(7) + b"\x10N.")),
    "a tensor past its storage": ("x.pt", lambda: torch_zip(tensor((1 << 20,), (1,)))),
    "strides that wrap": ("x.pt", lambda: torch_zip(tensor((2, 2), (1 << 62, 1 << 62)))),
    "a storage past its member": ("x.pt", lambda: torch_zip(tensor((4,), (1,)), bytes(8))),
    "a zip bomb": (
        "x.pt",
        lambda: torch_zip(bytes(300_000_000), packing=zipfile.ZIP_DEFLATED),
    ),
    "an archive cut in its directory": ("x.pt", lambda: GOOD[:-30]),
    "an archive cut in its data": ("x.pt", lambda: GOOD[:100]),
    "an archive with a tail": ("x.pt", lambda: GOOD + b"PK\x05\x06" + bytes(17)),
    "modules by the hundred thousand": (
        "x.pt", lambda: torch_zip(MODULE + module(
            b"".join(b"X\6\0\0\0%06d" % i + module(b"") for i in range(160_000))) + b".")),
    "modules in modules, twice each": (
        "x.pt", lambda: torch_zip(MODULE + module(b"") + b"q\3" + b"".join(
            b"0" + module(b"X\1\0\0\0ah\3X\1\0\0\0bh\3") + b"q\3" for _ in range(60)) + b".")),
    "a module in itself": (
        "x.pt", lambda: torch_zip(MODULE + b"h\2)Rq\3" + module(b"X\1\0\0\0ah\3")[4:] + b".")),
    "code of nine million lines": (
        "x.pt", lambda: script(b"class A(Module):\n" + b"  x\n" * 9_000_000)),
    "a graph of deep nothing": ("x.pt2", lambda: program(b"[" * 9_000_000)),
    "paths of paths": (
        "x.pt2", lambda: program(b'{"graph_module": {"module_call_graph": [' + b",".join(
            b'{"fqn": "%d%s"}' % (i, b".a" * 60) for i in range(50_000)) + b"]}}")),
    "noise": ("x.pt", lambda: bytes(range(256)) * 50),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_made_to_do_harm_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    file, make = FILES[name]
    path = tmp_path / file
    path.write_bytes(make())
    assert refused("show", path).startswith(f"weigh: {path}: ")


def test_a_tensor_of_few_values_repeated_is_shown_and_sliced(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    program = tensor((1 << 20, 1 << 20), (0, 0))
    path.write_bytes(torch_zip(program, struct.pack("<4f", 1.5, 2, 3, 4)))
    assert "x" in shown(path)
    refused("values", path, "x", "--full")
    done = weigh("values", path, "x[1048575, :2]")
    assert (done.returncode, done.stderr) == (0, "")
    assert "[1.5000, 1.5000]" in done.stdout


class Evil:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.canary}",)


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_pickle_is_not_run(protocol: int, tmp_path: Path) -> None:
    canary, bare, packed = tmp_path / "canary", tmp_path / "bare.pt", tmp_path / "packed.pt"
    program = pickle.dumps({"x": Evil(canary)}, protocol)
    bare.write_bytes(program)
    packed.write_bytes(torch_zip(program))
    refused("show", bare)
    refused("show", packed)
    assert not canary.exists()
    pickle.loads(program)
    assert canary.exists()  # the pickle is a real attack


def test_code_beside_a_tensor_is_not_run(tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "x.pt"
    attack = b"K\x01cos\nsystem\n(X" + struct.pack("<I", len(f"touch {canary}"))
    program = tensor((2, 2), (2, 1))[:-1] + attack + f"touch {canary}".encode() + b"tRs."
    path.write_bytes(torch_zip(program))
    done = weigh("show", path)
    assert (done.returncode, done.stderr.count("\n")) in ((0, 0), (2, 1)), done
    assert not canary.exists()


NAME = "conv\x1b[2J\x1b]0;owned\x07\u202e\r\n.weight"


def test_a_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    header = {NAME: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    first, second = tmp_path / "x.safetensors", tmp_path / "x.pt"
    first.write_bytes(safetensors(json.dumps(header).encode(), bytes(8)))
    second.write_bytes(torch_zip(tensor((2, 2), (2, 1), NAME)))
    for path in (first, second):
        done = weigh("show", path)
        assert done.returncode == 0, done
        text = done.stdout + done.stderr
        assert all(line.isprintable() for line in text.split("\n")), done
        assert "\\x1b[2J" in text
        refused("values", path, "conv\x1b[2Jx")
