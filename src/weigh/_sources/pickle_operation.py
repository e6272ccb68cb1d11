"""What every instruction of a pickle is: a small function of the machine."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weigh._sources.pickles import Machine

Operation = Callable[["Machine"], None]
U1, U2, U4, U8 = (struct.Struct(f) for f in ("<B", "<H", "<I", "<Q"))


def constant(value: object) -> Operation:
    def operation(m: Machine) -> None:
        m.stack.append(value)

    return operation
