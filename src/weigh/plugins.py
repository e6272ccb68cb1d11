"""What a package needs to add a format to Weigh.

A reader is a function that takes a ``ByteSource`` (or a ``Folder``) and gives ``Facts``: what the
source states, nothing worked out. A ``Format`` says how such a source is told and where the reader
is; an entry point of the group ``weigh.formats`` names it. ``weigh.testing.FormatContract`` tests
it. See ``docs/formats.md`` and ``examples/``.
"""

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, SourceError, UnsupportedError, ValuesError
from weigh._facts import Accounts, Extent, Facts, FoundClass, FoundLayer, FoundTensor, Values
from weigh._index import Region
from weigh._registry import Format
from weigh._sources.accounts import account
from weigh._sources.bytes import ByteSource, MemoryBytes
from weigh._sources.folder import Folder
from weigh._sources.stored import StoredValues

__all__ = [
    "DTYPES",
    "Accounts",
    "ByteSource",
    "DType",
    "Extent",
    "Facts",
    "Folder",
    "Format",
    "FormatError",
    "FoundClass",
    "FoundLayer",
    "FoundTensor",
    "MemoryBytes",
    "Region",
    "SourceError",
    "StoredValues",
    "UnsupportedError",
    "Values",
    "ValuesError",
    "account",
]
