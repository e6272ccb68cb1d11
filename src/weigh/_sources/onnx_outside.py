"""The files beside an ONNX model that hold the values of its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weigh._dtypes import DType
from weigh._errors import FormatError, SourceError, ValuesError
from weigh._facts import Extent
from weigh._index import Region
from weigh._sources.folder import Folder


class Outside:
    """The files beside a model that hold values of its tensors.

    Each is opened to learn its size, and again whenever values are read: a model may have a file
    for every tensor, more than may be open at a time.

    Args:
        folder: where the model lies; None where it lies in no folder.
    """

    def __init__(self, folder: Folder | None) -> None:
        self._folder = folder
        self.files: dict[str, OutsideFile] = {}
        self.missing: dict[str, str] = {}

    def file(self, location: str) -> OutsideFile | None:
        """Give a file by its path from the model's folder, or None if it is not there.

        Raises:
            FormatError: the path leads out of the folder.
        """
        if location not in self.files and location not in self.missing:
            try:
                self.files[location] = OutsideFile(self._folder, location)
            except FormatError:
                raise
            except SourceError as error:
                self.missing[location] = error.what
        return self.files.get(location)


class OutsideFile:
    """A file beside the model that is open only while it is read."""

    def __init__(self, folder: Folder | None, location: str) -> None:
        if folder is None:
            raise SourceError("the model lies in no folder")
        self._folder, self._path = folder, location.removeprefix("./")
        opened = folder.open(self._path)
        self.name, self.size, self.identity = opened.name, opened.size, opened.identity
        opened.close()

    @property
    def beside(self) -> Folder:
        """The folder it lies in."""
        return self._folder

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on; see ``ByteSource.view``."""
        opened = self._folder.open(self._path)
        try:
            if opened.identity != self.identity:
                raise SourceError("the file was replaced by another", where=self.name)
            return opened.view(offset, length)
        finally:
            opened.close()

    def close(self) -> None:
        """Do nothing: it is open only while it is read."""


@dataclass(frozen=True, slots=True)
class MissingValues:
    """A tensor whose values lie in a file that is not there.

    Attributes:
        dtype: the type of one value.
        shape: the size of each axis.
        location: the file's path from the model's folder.
    """

    dtype: DType
    shape: tuple[int, ...]
    location: str

    @property
    def extent(self) -> Extent | None:
        """None: it lies nowhere."""
        return None

    def read(self, region: Region) -> Any:  # noqa: ARG002
        """Refuse.

        Raises:
            ValuesError: always.
        """
        raise ValuesError(
            "its values are in a file that is not there",
            seen=repr(self.location[:200]),
            do="Put that file beside the model.",
        )
