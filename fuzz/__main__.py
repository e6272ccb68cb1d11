"""Fuzz one reader, guided by which of its code runs.

``python -m fuzz FORMAT SECONDS`` starts from the example that the contract tests use and keeps
what it finds in ``.cache/fuzz/FORMAT``. It ends with status 0 if the reader only ever read or
refused; what breaks it is written to a file whose name is printed. ``python -m fuzz FORMAT FILE``
runs one such file again.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

with atheris.instrument_imports(include=["weigh"]):
    from weigh._errors import FormatError, SourceError, WeighError
    from weigh._kinds.interpret import interpret
    from weigh._registry import FORMATS, Format
    from weigh._sources.bytes import MemoryBytes
    from weigh._sources.folder import check_inside
    from weigh._views.show import show_document
    from weigh._views.text import render

from writers import WRITERS  # noqa: E402

_LARGE = 1 << 16
_MEMORY = 700
"""Megabytes; Python, NumPy and the instrumented code take about half of it."""


class MemoryFolder:
    """A folder in memory."""

    name, far = "memory", False

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def files(self) -> list[str]:
        return sorted(self._files)

    def folders(self) -> list[str]:
        return []

    def open(self, path: str) -> MemoryBytes:
        check_inside(path)
        if path not in self._files:
            raise SourceError("there is no such file", where=path)
        return MemoryBytes(self._files[path], path)

    def open_all(self, paths: Sequence[str]) -> list[MemoryBytes]:
        return [self.open(path) for path in paths]

    def folder(self, path: str) -> MemoryFolder:
        raise FormatError("there is no such folder", seen=path)


def seeds(row: Format, folder: Path) -> tuple[list[bytes], dict[str, bytes], str]:
    """Write the example; give what to begin from, and the other files of a folder."""
    path, _ = WRITERS[row.name](folder)
    if not path.is_dir():
        return [path.read_bytes()], {}, path.name
    files = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    fuzzed = next(name for name in files if row.fits_folder([name]))
    return [files[fuzzed]], files, fuzzed


def main(name: str, what: str) -> None:
    row = next(row for row in FORMATS if row.name == name)
    with atheris.instrument_imports(include=["weigh"]):
        read = row.load()
    with tempfile.TemporaryDirectory() as folder:
        begin, files, fuzzed = seeds(row, Path(folder))

    def one(data: bytes) -> None:
        source = MemoryFolder(files | {fuzzed: data}) if files else MemoryBytes(data, fuzzed)
        with contextlib.suppress(WeighError):
            network = interpret(read(source))
            render(show_document(network))
            for tensor in network.tensors():
                if (tensor.count or 0) < _LARGE:
                    with contextlib.suppress(WeighError):
                        tensor.read()

    if Path(what).is_file():
        one(Path(what).read_bytes())
        return
    corpus = ROOT / ".cache/fuzz" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(begin):
        (corpus / f"seed-{number}").write_bytes(data)
        one(data)  # imports what reading needs, uncounted
    limits = [f"-max_total_time={what}", f"-rss_limit_mb={_MEMORY}", "-timeout=10"]
    found = f"-artifact_prefix={corpus.parent}/{name}-"
    longest = f"-max_len={max(4096, 2 * max(map(len, begin)))}"
    atheris.Setup([sys.argv[0], *limits, found, longest, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in WRITERS:
        sys.exit(f"usage: python -m fuzz FORMAT SECONDS|FILE; a format is {', '.join(WRITERS)}")
    main(*sys.argv[1:])
