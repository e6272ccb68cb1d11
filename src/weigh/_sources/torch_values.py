"""The values of a live torch tensor, which is never changed.

A torch tensor can only come from a torch that is loaded, so this module takes torch from
``sys.modules`` and never imports it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@functools.cache
def _strided() -> object:
    return sys.modules["torch"].strided


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


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep modes of the caller's and functions of a tensor's own class from seeing what is done."""
    torch = sys.modules["torch"]
    with torch._C.DisableTorchFunction():
        if not torch._C._len_torch_dispatch_stack():
            yield
            return
        with torch.utils._python_dispatch._disable_current_modes():
            yield


@functools.cache
def _watched() -> Callable[[], bool]:
    """Give what tells whether a mode sees even the attributes of plain tensors."""
    found: Callable[[], bool] = sys.modules["torch"]._C._is_torch_function_mode_enabled
    return found


class TorchValues:
    """The values of a torch tensor: on any device, on none (meta), or not made yet (lazy).

    Args:
        tensor: the ``torch.Tensor``; kept, never altered.

    Attributes:
        dtype: the type of one value. Two packed 4-bit floats count as two.

    Raises:
        UnsupportedError: Weigh does not know its dtype, or it is nested: of no one shape.
    """

    __slots__ = ("_plain", "_tensor", "dtype")

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor
        self._plain = type(tensor).__name__ in ("Tensor", "Parameter")
        if tensor.is_nested:
            raise UnsupportedError("a nested tensor has no one shape, and Weigh does not read it")
        self.dtype = _known(tensor.dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}, {self.shape}, on {self._tensor.device})"

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The size of each axis; None while a lazy layer has not seen its first input."""
        if self._plain and self.dtype.bits > 4 and not _watched()():
            return tuple(self._tensor.shape)
        with undisturbed():
            return self._shape()

    def _shape(self) -> tuple[int, ...] | None:
        if self._is_lazy():
            return None
        shape = tuple(map(int, self._tensor.shape))
        return (*shape[:-1], 2 * shape[-1] if shape else 2) if self._is_pairs() else shape

    @property
    def extent(self) -> Extent | None:
        """Where the values lie; None where there is no storage (lazy, sparse).

        A meta tensor has a storage of the size it would take, which tells ties apart.
        """
        if self._plain and not _watched()():
            return self._extent()
        with undisturbed():
            return self._extent()

    def _extent(self) -> Extent | None:
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
            with undisturbed():
                return self._sparse_extent()
        shape = self.shape or ()
        if self._is_pairs():
            first, strides = 2 * first, (*(2 * stride for stride in strides[:-1]), 1)
        span = span_of(shape, strides)
        start = first * self.dtype.bits // 8
        stop = self.dtype.size_of(first + span) if span else start
        distinct = distinct_of(shape, strides) if span else 0
        # A layout with gaps is told in full, so that views can be laid over each other.
        axes = tuple(zip(shape, strides, strict=True)) if distinct < span else ()
        return Extent(key, start, stop, distinct, total, axes)

    def _sparse_extent(self) -> Extent | None:
        """Tell the place of the values that are stored, and the size of their indices."""
        held = self._parts()
        if held is None:
            return None
        *indices, values = held.values()
        extent = TorchValues(values).extent
        if extent is None:
            return None
        return extent._replace(beside=sum(each.numel() * each.element_size() for each in indices))

    def _parts(self) -> dict[str, Any] | None:
        """Give the tensors that make up a sparse tensor, by the names that PyTorch prints."""
        torch, tensor = sys.modules["torch"], self._tensor
        if tensor.layout is torch.sparse_coo:
            return {"indices": tensor._indices(), "values": tensor._values()}
        with torch.no_grad():
            if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
                named = {"crow_indices": tensor.crow_indices(), "col_indices": tensor.col_indices()}
            elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
                named = {"ccol_indices": tensor.ccol_indices(), "row_indices": tensor.row_indices()}
            else:
                return None
            return named | {"values": tensor.values()}

    def parts(self) -> dict[str, TorchValues] | None:
        """Give the values that a sparse tensor is printed as, by name; None of any other."""
        with undisturbed():
            if self._is_lazy() or self._tensor.layout is _strided():
                return None
            held = self._parts()
            return held and {name: TorchValues(part) for name, part in held.items()}

    @property
    def requires_grad(self) -> bool:
        """Whether it takes a gradient, as PyTorch prints of buffers too."""
        with undisturbed():
            return bool(self._tensor.requires_grad)

    @property
    def layout(self) -> str:
        """PyTorch's name of the way it is stored."""
        with undisturbed():
            return str(self._tensor.layout)

    def scheme(self, region: Region) -> str | None:
        """Tell how the stored values of a region map to real ones, as PyTorch prints it."""
        with undisturbed():
            tensor = self._tensor
            if not tensor.is_quantized or "per_tensor" in str(tensor.qscheme()):
                return quantization(tensor) if tensor.is_quantized else None
            axis = tensor.q_per_channel_axis()
            taken = region.slices[axis]
            scales = tensor.q_per_channel_scales()[taken]
            zeros = tensor.q_per_channel_zero_points()[taken]
            if region.counts[axis] == 1:
                return _one_scale("torch.per_tensor_affine", scales.item(), zeros.item())
            return _scales(str(tensor.qscheme()), scales, zeros, sum(region.kept[:axis]))

    @contextmanager
    def on_device(self) -> Iterator[Any]:
        """Give the torch tensor where it lies, if that is another device's memory; else None.

        What is done to it meanwhile is seen by no mode of the caller's, and by no gradient.
        """
        with undisturbed():
            tensor, torch = self._tensor, sys.modules["torch"]
            near = tensor.device.type in ("cpu", "meta") or not self._plain or self._is_lazy()
            if near or tensor.layout is not torch.strided or tensor.is_quantized:
                yield None
                return
            with torch.no_grad():
                yield tensor.detach()

    def raw(self, start: int, stop: int) -> memoryview | None:
        """Give the bytes of a run of values where they lie; see ``LyingValues.raw``.

        The tensor must lie in this machine's memory, end to end. Of a quantized one they are the
        integers that are stored. One whose memory is shared
        until somebody writes to it is read by copies, since asking for its address ends that.
        """
        if not self._plain:
            return None
        with undisturbed():
            tensor, torch = self._tensor, sys.modules["torch"]
            if (
                self._is_lazy()
                or tensor.device.type != "cpu"
                or tensor.layout is not torch.strided
                or not tensor.is_contiguous()
                or tensor.is_neg()
                or tensor.is_conj()
                or torch._C._is_cow_tensor(tensor)
            ):
                return None
            import numpy as np

            with torch.no_grad():
                if tensor.is_quantized:  # its integers, which no view of it shows
                    begin = tensor.storage_offset() * self.dtype.bits // 8
                    size = self.dtype.size_of(tensor.numel())
                    plain = torch.empty(0, dtype=torch.uint8, device="cpu")
                    plain.set_(tensor.untyped_storage(), begin, (size,))
                else:
                    # One value counts as contiguous whatever its strides are; a view may not.
                    flat = tensor.detach().as_strided((tensor.numel(),), (1,))
                    plain = flat.view(torch.uint8)
                # Tensor.numpy() would forbid the owner to resize the storage ever after.
                whole: Any = np.from_dlpack(plain)
        first, last = start * self.dtype.bits // 8, self.dtype.size_of(stop)
        return memoryview(whole)[first:last].toreadonly()

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region as a new array of ``region.shape``; see ``Values.read``.

        Raises:
            ValuesError: the tensor is on the meta device or lazy, the region repeats few
                stored values enormously often, or it does not fit in memory.
        """
        with undisturbed():
            return self._read_or_say_why(region)

    def _read_or_say_why(self, region: Region) -> np.ndarray[Any, Any]:
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
        with torch.no_grad():
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
        data = _own(tensor.view(torch.uint8), tensor.view(torch.uint8).cpu()).reshape(-1).numpy()
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
    made = tensor.cpu().resolve_conj().resolve_neg()
    if dtype.name == "complex32":
        made = made.to(torch.complex64)
    elif dtype.name == "bfloat16" or dtype.name.startswith("float8"):
        made = made.to(torch.float32)
    array: np.ndarray[Any, Any] = _own(tensor, made).numpy()
    return array


def _own(tensor: Any, made: Any) -> Any:
    """Copy a tensor, unless what was made of it is a copy already; contiguous in either case.

    It is torch that copies: giving NumPy the memory counts as writing to it, which would end
    the sharing of a tensor that is to be copied on its first write.
    """
    if made.untyped_storage()._cdata == tensor.untyped_storage()._cdata:
        return made.clone(memory_format=sys.modules["torch"].contiguous_format)
    return made.contiguous()


def quantization(tensor: Any) -> str:
    """Tell how the stored values of a quantized tensor map to real ones, as PyTorch prints it."""
    scheme = str(tensor.qscheme())
    if "per_tensor" in scheme:
        return _one_scale(scheme, tensor.q_scale(), tensor.q_zero_point())
    scales, zeros = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
    return _scales(scheme, scales, zeros, tensor.q_per_channel_axis())


def _one_scale(scheme: str, scale: float, zero: float) -> str:
    return f"quantization_scheme={scheme}, scale={scale}, zero_point={zero}"


def _scales(scheme: str, scales: Any, zeros: Any, axis: int) -> str:
    return f"quantization_scheme={scheme}, scale={scales}, zero_point={zeros}, axis={axis}"
