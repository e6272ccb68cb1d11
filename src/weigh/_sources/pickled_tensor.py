"""A tensor that a pickle describes, or that it describes in a way that is not read."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from weigh._dtypes import DType
from weigh._facts import Role, Values
from weigh._sources.stored import Affine
from weigh._sources.torch_storages import Storage


@dataclass(frozen=True, slots=True)
class PickledTensor:
    """A tensor that a pickle describes.

    Attributes:
        values: its dtype, shape and numbers.
        identity: equal for two names of one tensor.
        requires_grad: as the pickle says; a state dict says False of everything.
        parameter: whether it was pickled as a Parameter.
        quantization: how stored values map to real ones, as PyTorch prints it.
        wrapper: the class of a tensor subclass that held it.
        slot: the role that it has in the module that holds it.
        packed: whether that module keeps it packed.
    """

    values: Values
    identity: Hashable
    requires_grad: bool = False
    parameter: bool = False
    quantization: str | None = None
    wrapper: str = ""
    slot: Role | None = None
    packed: bool = False


MakeValues = Callable[
    [Storage, DType, tuple[int, ...], tuple[int, ...], int, Affine | None], Values
]
"""Makes the values of a tensor from its storage, dtype, shape, strides, offset and scales."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What looks like a tensor but is of a sort that Weigh does not read.

    Attributes:
        maker: what would make it, and why it is not read.
    """

    maker: str
