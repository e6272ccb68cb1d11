"""What tests use: a check of a network, and the contract that every new format must pass.

``assert_healthy`` lets a test of a training fail where ``weigh check`` finds something::

    def test_training_reaches_every_layer():
        network, optimizer = train(steps=20)
        assert_healthy(network, optimizer=optimizer)

A format's tests are a subclass, its ``Format`` and two fixtures; pytest finds the rest::

    class TestToy(FormatContract):
        format = FORMAT

        @pytest.fixture
        def expected(self):
            return {"fc.weight": numpy.arange(6.0).reshape(2, 3)}

        @pytest.fixture
        def example(self, tmp_path, expected):
            path = tmp_path / "example.toy"
            write_toy(path, expected)  # by the format's own library, if it has one
            return path
"""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from weigh._errors import WeighError
from weigh._facts import Facts
from weigh._kinds.interpret import interpret
from weigh._model import Network
from weigh._record import changed
from weigh._registry import Format
from weigh._sources.folder import LocalFolder, local_file

if TYPE_CHECKING:
    from weigh._checks.report import CheckReport
    from weigh._checks.rule import Rule
    from weigh._checks.settings import Config

__all__ = ["FormatContract", "assert_healthy", "check_with", "nothing_runs", "open_with"]

_POINTS = 400
"""A file is cut at so many places, and so many of its bytes are changed."""

_HARMLESS = frozenset(
    ("open", "os.scandir", "os.listdir", "mmap.__new__", "sys._getframe", "builtins.id")
)
"""What a reader may do; and ``open`` only to read."""


def assert_healthy(
    source: object,
    pattern: str | None = None,
    *,
    optimizer: Any = None,
    loss: Any = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fail_on: str = "",
    config: Config = None,
    threads: int = 0,
) -> CheckReport:
    """Assert that ``weigh check`` finds nothing wrong with a network.

    Args:
        source: what ``weigh.check`` takes: a live module, a path, a mapping of arrays.
        pattern: selects the tensors that are looked at.
        optimizer: the optimizer that trains a live module.
        loss: a tensor that the live module computed, before its backward pass.
        select: the rules that run; all if left out.
        ignore: rules that do not.
        fail_on: the mildest severity that fails, or ``"never"``; what the settings say if left
            out, and ``"warning"`` if they say nothing.
        config: settings, as for ``weigh.check``; those of the nearest ``pyproject.toml``, from the
            current folder upward, if left out. ``{}`` stands for none.
        threads: how many share the reading; as many as there are processors if 0.

    Returns:
        The whole report, also of what is no failure.

    Raises:
        AssertionError: something was found; its message tells what, why it matters and what to do.
        WeighError: the source, a name or a setting is wrong.

    Examples:
        >>> import numpy
        >>> assert_healthy({"fc.weight": numpy.array([[1.0, 2.0]])}, config={}).failed
        False
    """
    from weigh._api import examine
    from weigh._checks.settings import nearest_config, settings_of
    from weigh._checks.table import every_rule
    from weigh._measures.measured import Options

    __tracebackhide__ = True  # pytest then shows the line of the test
    settings = settings_of(
        nearest_config() if config is None else config,
        every_rule(),
        select=select,
        ignore=ignore,
        fail_on=fail_on,
        otherwise="warning",
    )
    options = Options(threads=threads)
    checker = examine(source, pattern, settings, options, optimizer=optimizer, loss=loss)
    for _ in checker.run():
        pass
    report = checker.report()
    if report.failed:
        bad = tuple(one for one in report.findings if settings.fails(one.severity))
        raise AssertionError(f"weigh check finds:\n\n{changed(report, findings=bad)}")
    return report


def check_with(rule: Rule, source: object, **given: Any) -> CheckReport:
    """Look at a network by one rule, which need not be installed.

    Args:
        rule: the rule.
        source: what ``weigh.check`` takes.
        given: the ``optimizer`` and the ``loss`` of a live module, and the rule's thresholds, as in
            ``largest_size=2``.

    Raises:
        WeighError: the source or a threshold is wrong.
    """
    from weigh._api import open as open_network
    from weigh._checks.run import Checker
    from weigh._checks.settings import settings_of
    from weigh._measures.measured import Options

    network = open_network(source)
    module = {name: given.pop(name, None) for name in ("optimizer", "loss")}
    limits = {name.replace("_", "-"): value for name, value in given.items()}
    settings = settings_of({rule.name: limits}, (rule,))
    tensors = network.tensors()
    checker = Checker(
        network, tensors, (rule,), settings, Options(), module=network._live, **module
    )
    for _ in checker.run():
        pass
    return checker.report()


def open_with(row: Format, path: str | Path) -> Network:
    """Open a file or a folder by one format, whatever others may say of it.

    Raises:
        SourceError: the reader refuses it.
    """
    read = row.load()
    place = Path(path)
    facts: Facts = read(LocalFolder(place) if place.is_dir() else local_file(place))
    return interpret(facts)


@contextlib.contextmanager
def nothing_runs() -> Iterator[list[str]]:
    """Watch what Python does: nothing may be run, imported, written, sent or started.

    Gives the list of what was done; it is also checked at the end. Code that was loaded before
    is not seen, so open a harmless file of the format first.

    Raises:
        AssertionError: something was done.
    """
    _WATCH.seen = []
    try:
        yield _WATCH.seen
        if _WATCH.seen:
            raise AssertionError(f"Python was seen to do: {'; '.join(_WATCH.seen)}")
    finally:
        _WATCH.seen = None


class _Watch:
    """An audit hook, which Python cannot take away again, and so can be asleep."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        self._hooked = False

    def hook(self) -> None:
        if not self._hooked:
            self._hooked = True
            sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None or (event in _HARMLESS and not _writes(event, arguments)):
            return
        self.seen.append(f"{event} {str(arguments)[:80]}")


def _writes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a file was opened to be written."""
    mode = arguments[1] if event == "open" and len(arguments) > 1 else None
    return isinstance(mode, str) and any(letter in mode for letter in "wax+")


_WATCH = _Watch()
_WATCH.hook()


class FormatContract:
    """What every reader of a format must do; subclass it and give an example.

    Attributes:
        format: the format's row.
        may_load: what listing a file of it may import although it is heavy: ``("numpy",)`` where
            the format's library is built on it.
    """

    format: ClassVar[Format]
    may_load: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def example(self, tmp_path: Path) -> Path:
        """Give the path of a small valid file (or folder) of the format, a few kilobytes long."""
        raise NotImplementedError("give a fixture 'example'")

    @pytest.fixture
    def expected(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Give every tensor of the example by its name, as the format's own library reads it."""
        raise NotImplementedError("give a fixture 'expected'")

    def test_it_is_told_by_its_row(self, example: Path) -> None:
        """The row says that the example is of this format."""
        if example.is_dir():
            assert self.format.fits_folder(LocalFolder(example).files())
            return
        from weigh._sources.zips import read_directory

        file = local_file(example)
        head = bytes(file.view(0, min(file.size, 512)))
        assert self.format.fits(head, example.name, lambda: list(read_directory(file)))

    def test_every_value_is_read(
        self, example: Path, expected: Mapping[str, np.ndarray[Any, Any]]
    ) -> None:
        """Every tensor is there under its name, with its shape and all its values."""
        network = open_with(self.format, example)
        assert {t.name for t in network.tensors()} == set(expected)
        for name, array in expected.items():
            assert network[name].shape == array.shape, name
            np.testing.assert_array_equal(network[name].read(), array, err_msg=name)

    def test_a_slice_is_that_part_of_the_whole(self, example: Path) -> None:
        """Reading a slice gives what slicing all the values gives."""
        chance = random.Random(0)
        for tensor in open_with(self.format, example).tensors():
            whole = tensor.read()
            for _ in range(20):
                index = tuple(_some_index(size, chance) for size in whole.shape)
                np.testing.assert_array_equal(tensor[index].read(), whole[index])

    def test_every_byte_is_accounted_for(self, example: Path) -> None:
        """The bytes of tensors, metadata, padding and the rest add up to those on disk."""
        accounts = open_with(self.format, example).accounts
        assert accounts is not None
        parts = (accounts.tensors, accounts.metadata, accounts.padding, accounts.unreachable)
        assert sum(parts) == accounts.total
        assert min(parts) >= 0

    def test_listing_loads_nothing_heavy(self, example: Path) -> None:
        """Neither NumPy nor PyTorch is imported to list a file, but for what ``may_load`` names."""
        program = (
            "import importlib, sys\n"
            "from weigh._sources.folder import LocalFolder, local_file\n"
            f"module, _, name = {self.format.reader!r}.partition(':')\n"
            "read = getattr(importlib.import_module(module), name)\n"
            f"read({'LocalFolder' if example.is_dir() else 'local_file'}({str(example)!r}))\n"
            "print(*({'numpy', 'torch'} & sys.modules.keys()))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert set(done.stdout.split()) <= set(self.may_load)

    def test_a_file_cut_short_is_an_error_of_weighs(self, example: Path, tmp_path: Path) -> None:
        """However short the file was cut, it is read, or refused by a WeighError."""
        for path in _files(example):
            data = path.read_bytes()
            step = max(1, len(data) // _POINTS)
            for length in range(0, len(data), step):
                self._survives(example, path, data[:length], tmp_path)

    def test_changed_bytes_are_an_error_of_weighs(self, example: Path, tmp_path: Path) -> None:
        """Whatever byte was changed, the file is read, or refused by a WeighError."""
        chance = random.Random(1)
        for path in _files(example):
            data = path.read_bytes()
            for _ in range(_POINTS):
                spoiled = bytearray(data)
                for _ in range(chance.randint(1, 3)):
                    spoiled[chance.randrange(len(data))] = chance.randrange(256)
                self._survives(example, path, bytes(spoiled), tmp_path)

    def test_nothing_of_the_file_is_run(self, example: Path) -> None:
        """Listing the example and reading its values starts, imports and writes nothing."""

        def look() -> None:
            for tensor in open_with(self.format, example).tensors():
                tensor.read()

        look()  # the reader itself is imported here
        with nothing_runs():
            look()

    def _survives(self, example: Path, path: Path, data: bytes, folder: Path) -> None:
        """Open a spoiled copy and read its values."""
        copy = folder / "spoiled" / example.name
        if copy.is_dir():
            shutil.rmtree(copy)
        copy.parent.mkdir(exist_ok=True)
        if example.is_dir():
            shutil.copytree(example, copy)
        (copy / path.relative_to(example) if example.is_dir() else copy).write_bytes(data)
        with contextlib.suppress(WeighError):
            for tensor in open_with(self.format, copy).tensors():
                if (tensor.count or 0) < 1 << 20:
                    with contextlib.suppress(WeighError):
                        tensor.read()


def _files(example: Path) -> list[Path]:
    if not example.is_dir():
        return [example]
    return sorted(path for path in example.rglob("*") if path.is_file() and path.stat().st_size)


def _some_index(size: int, chance: random.Random) -> int | slice:
    if size and chance.random() < 0.3:
        return chance.randrange(size)
    start = chance.randint(0, size)
    return slice(start, chance.randint(start, size), chance.randint(1, 3))
