"""The functions that PyTorch's pickles name to make tensors, and what each of them would make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DTYPES
from weigh._errors import UnsupportedError
from weigh._sources.derived_values import MetaValues, PerChannelValues, TurnedValues
from weigh._sources.pickled import Call, Global, pairs_of
from weigh._sources.pickled_arrays import array, array_of_buffer
from weigh._sources.pickled_tensor import PickledTensor
from weigh._sources.stored import Affine, count_of
from weigh._sources.torch_storages import dtype_named, integer, integers

_PAIRS = "float4_e2m1fn_x2"
"""PyTorch counts a byte of two 4-bit floats as one element; Weigh counts the two values."""

if TYPE_CHECKING:
    from weigh._sources.torch_pickle import TensorReader

_DISTRIBUTED = ("torch.distributed.tensor.DTensor", "torch.distributed._tensor.api.DTensor")
_WRAPPED = "torch._utils._rebuild_wrapper_subclass"


def _tensor(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    made = _turned(reader.strided(*a[:4]), a[6:7])
    return replace(made, requires_grad=True) if len(a) > 4 and a[4] is True else made


def _tensor_v3(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    if isinstance(a[6], Global) and a[6].path == f"torch.{_PAIRS}":
        made = reader.strided(a[0], *_unpaired(a[1], a[2], a[3]), DTYPES["float4_e2m1fn"])
    else:
        made = reader.strided(a[0], a[1], a[2], a[3], dtype=dtype_named(a[6]))
    made = _turned(made, a[7:8])
    return replace(made, requires_grad=True) if a[4] is True else made


def _unpaired(
    offset: object, size: object, stride: object
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Count in 4-bit values what is counted in pairs of them along the last axis.

    Raises:
        UnsupportedError: the pairs of a row are apart.
    """
    shape, strides = integers(size) or (1,), integers(stride) or (1,)
    if strides[-1] != 1 and shape[-1] > 1:
        raise UnsupportedError("pairs of 4-bit values that are apart")
    return (
        2 * integer(offset),
        (*shape[:-1], 2 * shape[-1]),
        (*(2 * step for step in strides[:-1]), 1),
    )


def _turned(made: PickledTensor, metadata: tuple[Any, ...]) -> PickledTensor:
    """Heed the flags that a tensor carries instead of changed values."""
    pairs = pairs_of(metadata[0]) if metadata else None
    flags = {key for key, value in pairs or () if isinstance(key, str) and value is True}
    if not flags & {"conj", "neg"}:
        return made
    values = TurnedValues(made.values, "conj" in flags, "neg" in flags)
    return replace(made, values=values, identity=(made.identity, "conj" in flags, "neg" in flags))


def _parameter(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    return replace(reader.tensor(a[0]), parameter=True, requires_grad=a[1] is True)


def _from_cpu(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    """``_rebuild_device_tensor_from_cpu_tensor(tensor, dtype, device, requires_grad)``."""
    inner = reader.tensor(a[0])
    if dtype_named(a[1]) != inner.values.dtype:
        raise UnsupportedError("it changes the dtype")
    return replace(inner, requires_grad=a[3] is True)


def _lazy(_reader: TensorReader, call: Call, a: tuple[Any, ...]) -> PickledTensor:
    """A parameter or buffer of a lazy layer that has not seen its first input."""
    parameter = call.path.endswith("Parameter")
    values = MetaValues(DTYPES["float32"], None)
    return PickledTensor(values, ("lazy", id(a)), a[0] is True, parameter=parameter)


def _quantized(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    scheme, *numbers = a[4]
    name = scheme.path
    if name == "torch.per_tensor_affine":
        scale, zero = float(numbers[0]), integer(numbers[1])
        affine = Affine((scale,), (float(zero),))
        text = f"quantization_scheme={name}, scale={scale}, zero_point={zero}"
        return replace(reader.strided(a[0], a[1], a[2], a[3], affine=affine), quantization=text)
    made = reader.strided(a[0], a[1], a[2], a[3])
    scales, zeros = (reader.tensor(thing).values for thing in numbers[:2])
    axis = integer(numbers[2])
    # PyTorch writes one name for two schemes, and tells them apart by the zero points.
    name += "_float_qparams" if zeros.dtype.family == "float" else ""
    return replace(
        made,
        values=PerChannelValues(made.values, scales, zeros, axis),
        quantization=f"quantization_scheme={name}, axis={axis}",
    )


def _subclass(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    """``_rebuild_from_type_v2(function, class, arguments, state)``: a tensor in other clothes."""
    named = a[1].path if isinstance(a[1], Global) else ""
    if named in _DISTRIBUTED and isinstance(a[0], Global) and a[0].path == _WRAPPED:
        return _local(reader, named, a)
    inner = reader.make(Call(a[0], a[2]))
    if not isinstance(inner, PickledTensor):
        raise UnsupportedError(inner.maker if inner else named)
    plain = named in ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter")
    return replace(
        inner,
        parameter=inner.parameter or named.endswith("nn.parameter.Parameter"),
        wrapper="" if plain else named,
    )


def _local(reader: TensorReader, named: str, a: tuple[Any, ...]) -> PickledTensor:
    """A DTensor of FSDP2 and the like, of which the file has what its process held."""
    # Its class has slots: the state is a pair.
    states = a[3] if isinstance(a[3], tuple) else (a[3],)
    pairs = [pair for state in states for pair in pairs_of(state) or ()]
    held = [value for key, value in pairs if key == "_local_tensor"]
    if len(held) != 1:
        raise UnsupportedError(f"{named} without its local tensor")
    inner = reader.tensor(held[0])
    part = integers(a[2][2]) != inner.values.shape
    wrapper = f"{named}, of which this file has one process's part" if part else named
    learns = inner.requires_grad or a[2][7] is True
    return replace(inner, requires_grad=learns, wrapper=wrapper)


def _meta(_reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    values = MetaValues(dtype_named(a[0]), integers(a[1]))
    count_of(values.shape or ())
    # The call may be a passing one; its arguments are the pickle's own.
    return PickledTensor(values, ("meta", id(a)), requires_grad=a[3] is True)


MAKERS: dict[str, Callable[[TensorReader, Call, tuple[Any, ...]], PickledTensor]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _from_cpu,
    "torch.nn.parameter.UninitializedParameter": _lazy,
    "torch.nn.parameter.UninitializedBuffer": _lazy,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch._tensor._rebuild_from_type": _subclass,
    "numpy.core.multiarray._reconstruct": array,
    "numpy._core.multiarray._reconstruct": array,
    "numpy.core.numeric._frombuffer": array_of_buffer,
    "numpy._core.numeric._frombuffer": array_of_buffer,
}
"""By the full name of the function."""
