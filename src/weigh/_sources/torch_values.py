"""The values of a live torch tensor, which is never changed.

A torch tensor can only come from a torch that is loaded, so this module takes torch from
``sys.modules`` and never imports it.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DTYPES, DType
from weigh._errors import UnsupportedError, ValuesError
from weigh._facts import Extent
from weigh._index import Region
from weigh._sources.stored import (
    contiguous_strides,
    count_of,
    distinct_of,
    refuse_expansion,
    span_of,
    too_large,
)

if TYPE_CHECKING:
    import numpy as np

_PAIRS = "float4_e2m1fn_x2"
"""PyTorch counts a byte of two 4-bit floats as one element; Weigh counts the two values."""


def torch_dtype(tensor: Any) -> DType:
    """Give the dtype of a torch tensor.

    Raises:
        UnsupportedError: Weigh does not know it.
    """
    return _known(tensor.dtype)


@functools.cache
def _known(torch_dtype: object) -> DType:
    name = str(torch_dtype).removeprefix("torch.")
    dtype = DTYPES.get("float4_e2m1fn" if name == _PAIRS else name)
    # torch.int4 and torch.uint4 are only names so far: their elements take whole bytes.
    if dtype is None or name in ("int4", "uint4"):
        raise UnsupportedError("a tensor has a dtype that Weigh does not read", seen=name)
    return dtype


class TorchValues:
    """The values of a torch tensor: on any device, on none (meta), or not made yet (lazy).

    Args:
        tensor: the ``torch.Tensor``; kept, never altered.

    Attributes:
        dtype: the type of one value. Two packed 4-bit floats count as two.

    Raises:
        UnsupportedError: Weigh does not know its dtype.
    """

    __slots__ = ("_plain", "_tensor", "dtype")

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor
        self._plain = type(tensor).__name__ in ("Tensor", "Parameter")
        self.dtype = _known(tensor.dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}, {self.shape}, on {self._tensor.device})"

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The size of each axis; None while a lazy layer has not seen its first input."""
        if self._plain and self.dtype.bits > 4:
            return tuple(self._tensor.shape)
        if self._is_lazy():
            return None
        shape = tuple(map(int, self._tensor.shape))
        return (*shape[:-1], 2 * shape[-1] if shape else 2) if self._is_pairs() else shape

    @property
    def extent(self) -> Extent | None:
        """Where the values lie; None where there is no storage (lazy, sparse).

        A meta tensor has a storage of the size it would take, which tells ties apart.
        """
        if self._is_lazy():
            return None
        tensor = self._tensor
        try:
            storage = tensor.untyped_storage()
            # The storage's own address, not its data's: asking for that can copy it.
            key = ("torch", storage._cdata)
            total, first, bits = storage.nbytes(), tensor.storage_offset(), self.dtype.bits
            if self._plain and bits >= 8 and tensor.is_contiguous():
                # Most tensors: no gap and no repetition.
                count, size = tensor.numel(), bits // 8
                return Extent(key, first * size, (first + count) * size, count, total)
            total, first = int(total), int(first)
            strides = tuple(map(int, tensor.stride()))
        except (RuntimeError, NotImplementedError, AttributeError, TypeError):
            return None
        shape = self.shape or ()
        if self._is_pairs():
            first, strides = 2 * first, (*(2 * stride for stride in strides[:-1]), 1)
        span = span_of(shape, strides)
        start = first * self.dtype.bits // 8
        stop = self.dtype.size_of(first + span) if span else start
        return Extent(key, start, stop, distinct_of(shape, strides) if span else 0, total)

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region as a new array of ``region.shape``; see ``Values.read``.

        Raises:
            ValuesError: the tensor is on the meta device or lazy, the region repeats few
                stored values enormously often, or it does not fit in memory.
        """
        self._refuse(region)
        try:
            return self._read(region).reshape(region.shape)
        except MemoryError:
            raise too_large() from None
        except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            if "alloc" in reason and "memory" in reason:
                raise too_large() from None
            raise ValuesError("torch does not give the values", seen=reason[:200]) from None

    def _refuse(self, region: Region) -> None:
        if self._is_lazy():
            raise ValuesError(
                "it is not initialized: its layer is lazy and has not seen its first input",
                do="Run the network once on an example input.",
            )
        if self._tensor.is_meta:
            raise ValuesError(
                "it is on the meta device, so it has a shape but no values",
                do="Load the weights, or move the network with to_empty and initialize it.",
            )
        extent = self.extent
        stored = extent.storage_bytes * 8 // self.dtype.bits if extent else count_of(region.counts)
        refuse_expansion(region, stored)

    def _read(self, region: Region) -> np.ndarray[Any, Any]:
        torch = sys.modules["torch"]
        # Neither a gradient nor a mode of the caller's may see this reading.
        with torch.no_grad(), torch._C.DisableTorchFunction():
            tensor = self._tensor.detach()
            if self._is_pairs():
                return self._read_pairs(tensor, region)
            if tensor.layout is not torch.strided:
                tensor = tensor.to_dense()
            if tensor.is_quantized:
                # Dequantized in whole where its slices cannot carry their scales along.
                sliceable = tensor.qscheme() is torch.per_tensor_affine
                tensor = tensor[region.slices].dequantize() if sliceable else tensor.dequantize()
                tensor = tensor if sliceable else tensor[region.slices]
            else:
                tensor = tensor[region.slices]
            return _to_numpy(tensor, self.dtype)

    def _read_pairs(self, tensor: Any, region: Region) -> np.ndarray[Any, Any]:
        from weigh._decode import take  # NumPy is loaded only when values are read

        torch = sys.modules["torch"]
        data = tensor.view(torch.uint8).cpu().contiguous().reshape(-1).numpy()
        shape = self.shape or ()
        strides = contiguous_strides(shape)
        steps = tuple(a * b for a, b in zip(region.steps, strides, strict=True))
        first = sum(a * b for a, b in zip(region.starts, strides, strict=True))
        raw = memoryview(data)[first // 2 :]
        return take(raw, self.dtype, region.counts, steps, bit_offset=first % 2 * 4)

    def _is_lazy(self) -> bool:
        if self._plain:
            return False
        # Only then does the module of lazy parameters exist, and this one is loaded with torch.
        parameter = sys.modules.get("torch.nn.parameter")
        return parameter is not None and bool(parameter.is_lazy(self._tensor))

    def _is_pairs(self) -> bool:
        return self.dtype.bits == 4 and str(self._tensor.dtype) == f"torch.{_PAIRS}"


def _to_numpy(tensor: Any, dtype: DType) -> np.ndarray[Any, Any]:
    """Copy a tensor's values into a new array of a type that NumPy has."""
    torch = sys.modules["torch"]
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    if dtype.name == "complex32":
        tensor = tensor.to(torch.complex64)
    elif dtype.name == "bfloat16" or dtype.name.startswith("float8"):
        tensor = tensor.to(torch.float32)
    array: np.ndarray[Any, Any] = tensor.numpy().copy(order="C")
    return array
