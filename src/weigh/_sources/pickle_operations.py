"""The instructions of pickle protocols 0 to 5, those of Python's ``pickletools``.

None imports, calls or hashes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._errors import FormatError
from weigh._sources.pickle_calls import CALLS
from weigh._sources.pickle_containers import CONTAINERS
from weigh._sources.pickle_operation import U1, U8, Operation
from weigh._sources.pickle_values import VALUES

if TYPE_CHECKING:
    from weigh._sources.pickles import Machine

STOP = 0x2E
_PROTOCOLS = 5


class EndsEarlyError(FormatError):
    """The pickle's bytes end before it does."""


def _protocol(m: Machine) -> None:
    version = m.unpack(U1)
    if version > _PROTOCOLS:
        raise FormatError("the pickle is of an unknown protocol", seen=str(version))


def _frame(m: Machine) -> None:
    """A frame only says how much to read ahead; it must be there."""
    length = m.unpack(U8)
    if length > m.size - m.place:
        raise EndsEarlyError("the pickle ends early", seen=f"a frame of {length:,} bytes")


OPERATIONS: dict[int, Operation] = {
    0x80: _protocol,
    0x95: _frame,
    **VALUES,
    **CONTAINERS,
    **CALLS,
}
"""By their codes; STOP is the machine's own."""
