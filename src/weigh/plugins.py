"""What a package needs to add a format or a rule to Weigh.

A reader is a function that takes a ``ByteSource`` (or a ``Folder``) and gives ``Facts``: what the
source states, nothing worked out. A ``Format`` says how such a source is told and where the reader
is; an entry point of the group ``weigh.formats`` names it. ``weigh.testing.FormatContract`` tests
it. See ``docs/formats.md`` and ``examples/weigh-llama2c``.

A rule is a function that takes a ``Subject`` and the rule's ``Limits`` and gives ``Finding``s and
``Unsure``s. A ``Rule`` names it and says what it needs; an entry point of the group ``weigh.rules``
names that. See ``docs/rules.md`` and ``examples/weigh-lora``.
"""

from weigh._checks.finding import Finding, Severity, Unsure
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.subject import Subject
from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, SourceError, UnsupportedError, ValuesError
from weigh._facts import Accounts, Extent, Facts, FoundClass, FoundLayer, FoundTensor, Values
from weigh._index import Region
from weigh._model import Layer, Network, Tensor
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
    "Finding",
    "Folder",
    "Format",
    "FormatError",
    "FoundClass",
    "FoundLayer",
    "FoundTensor",
    "Layer",
    "Limit",
    "Limits",
    "MemoryBytes",
    "Network",
    "Region",
    "Rule",
    "Severity",
    "SourceError",
    "StoredValues",
    "Subject",
    "Tensor",
    "UnsupportedError",
    "Unsure",
    "Values",
    "ValuesError",
    "account",
]
