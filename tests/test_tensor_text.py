"""Held to the letter against what the installed PyTorch prints."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import weigh
from weigh._dtypes import DTYPES, DType
from weigh._errors import UsageError, ValuesError
from weigh._index import Region
from weigh._tensor_text import tensor_text

pytestmark = [
    # PyTorch says these of tensors that the tests must make.
    pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental"),
    pytest.mark.filterwarnings("ignore:.*quantiz"),
]

FLOATS = ["float32", "float64", "float16", "bfloat16"]
FLOATS8 = [name for name in DTYPES if name.startswith("float8")]
COMPLEX = ["complex32", "complex64", "complex128"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


class TorchValues:
    """The values of a torch tensor, and a count of how many were read."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor.detach()
        self.values_read = 0
        self.extent = None

    @property
    def dtype(self) -> DType:
        return DTYPES[str(self.tensor.dtype).removeprefix("torch.")]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    def read(self, region: Region) -> np.ndarray:
        self.values_read += math.prod(region.shape)
        taken = self.tensor
        if taken.is_quantized:
            taken = taken.dequantize()
        taken = taken[region.slices]
        if self.dtype.name == "bfloat16" or self.dtype.name.startswith("float8"):
            taken = taken.float()
        elif self.dtype.name == "complex32":
            taken = taken.to(torch.complex64)
        return taken.numpy()


class CountedValues:
    """A tensor of any size that stores nothing: each value is its position along the last axis."""

    def __init__(self, shape: tuple[int, ...] | None, dtype: str = "int64") -> None:
        self.shape = shape
        self.dtype = DTYPES[dtype]
        self.extent = None
        self.values_read = 0

    def read(self, region: Region) -> np.ndarray:
        self.values_read += math.prod(region.shape)
        assert all(region.kept)
        last = region.starts[-1] + region.steps[-1] * np.arange(region.counts[-1])
        kind = np.float32 if self.dtype.family == "float" else np.int64
        return np.broadcast_to(last.astype(kind), region.shape)


def same(tensor: torch.Tensor, **options) -> None:
    """Assert that the text is PyTorch's: the tensor plain, and as a parameter where it can be."""
    values = TorchValues(tensor)
    with torch._tensor_str.printoptions(
        precision=options.get("precision", 4),
        threshold=options.get("threshold", 1000),
        edgeitems=options.get("edge_items", 3),
        linewidth=options.get("line_width", 80),
    ):
        assert tensor_text(values, **options) == repr(tensor)
        for requires_grad in (False, True):
            if requires_grad and not values.dtype.learnable:
                continue
            parameter = torch.nn.Parameter(tensor, requires_grad=requires_grad)
            text = tensor_text(values, parameter=True, requires_grad=requires_grad, **options)
            assert text == repr(parameter)


def make(dtype: str, shape: tuple[int, ...], pool: list, seed: int) -> torch.Tensor:
    """Make a tensor of values drawn from a pool."""
    rng = np.random.default_rng(seed)
    count = math.prod(shape)
    picks = rng.integers(0, len(pool), count)
    kind = getattr(torch, dtype)
    if dtype.startswith("float8"):  # every bit pattern, and so every value, can be had
        bits = [int(abs(number) if math.isfinite(number) else 255) % 256 for number in pool]
        return torch.tensor([bits[i] for i in picks], dtype=torch.uint8).view(kind).reshape(shape)
    wide = {"complex32": torch.complex128, "float16": torch.float64, "bfloat16": torch.float64}
    flat = torch.tensor([pool[i] for i in picks], dtype=wide.get(dtype, kind))
    return flat.to(kind).reshape(shape)


SPECIAL = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf]),
    st.sampled_from([1e8, -1e8, 100000001.0, 99999999.0, 1e-4, 9.9999e-5, 1000.0, 1001.0]),
    st.sampled_from([1e-45, 5e-324, -1e-310, 2.0**-127, 6e-8, 65504.0, 1.7e38, 3.4e38, 1.7e308]),
    st.sampled_from([0.5, 2.5, 0.99995, 0.00005, 123456.789]),
)
SCALES = st.sampled_from([1.0, 0.05, 1e-6, 1e4, 1e9, 1e-40, 1e30])


@st.composite
def pools(draw: st.DrawFn, dtype: str) -> list:
    """Draw the values a tensor is made of: alike, mixed, whole, tiny, huge or special."""
    if dtype == "bool":
        return draw(st.lists(st.booleans(), min_size=1, max_size=3))
    if dtype in INTEGERS:
        info = torch.iinfo(getattr(torch, dtype))
        small = st.integers(0, 12)
        wide = st.integers(info.min, info.max)
        return draw(st.lists(draw(st.sampled_from([small, wide])), min_size=1, max_size=20))
    scale = draw(SCALES)
    near = st.floats(-1, 1).map(lambda number: number * scale)
    whole = st.integers(-2000, 2000).map(float)
    anything = st.floats(width=32)
    sort = draw(st.sampled_from([near, whole, anything, SPECIAL, SPECIAL | near, SPECIAL | whole]))
    pool = draw(st.lists(sort, min_size=1, max_size=20))
    if dtype in COMPLEX:
        other = draw(st.lists(sort, min_size=1, max_size=20))
        return [complex(a, other[i % len(other)]) for i, a in enumerate(pool)]
    return pool


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """Draw 0 to 5 axes, shown whole (up to 1000 values) or cut."""
    sizes = draw(st.sampled_from([st.integers(1, 12), st.integers(0, 12), st.integers(1, 4)]))
    shape = draw(st.lists(sizes, max_size=5).map(tuple))
    if draw(st.booleans()):
        shape = (*shape[:2], draw(st.sampled_from([6, 7, 8, 130, 1000, 1001])))
        shape = tuple(draw(st.permutations(shape)))
    while math.prod(shape) > 20_000:
        shape = shape[1:]
    return shape


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    names = st.sampled_from([FLOATS, FLOATS, FLOATS8, COMPLEX, [*INTEGERS, "bool"]])
    dtype = draw(st.sampled_from(draw(names)))
    return make(dtype, draw(shapes()), draw(pools(dtype)), draw(st.integers(0, 9)))


@settings(max_examples=300, deadline=None)
@given(tensors())
@example(torch.tensor(-0.0))
@example(torch.zeros(30))
@example(torch.full((30,), math.nan))
@example(torch.tensor([math.inf, 1.0, -2.0]))
@example(torch.tensor([1e-7, -math.inf, 1.0]))
def test_the_text_is_what_pytorch_prints(tensor):
    same(tensor)


@settings(max_examples=100, deadline=None)
@given(
    tensors(),
    st.integers(20, 140),
    st.integers(0, 8),
    st.sampled_from([0, 1, 20, 1000, math.inf]),
    st.integers(0, 5),
)
def test_the_options_are_pytorchs(tensor, line_width, precision, threshold, edge_items):
    if tensor.numel() > 3000:
        threshold = min(threshold, 1000)
    same(
        tensor,
        line_width=line_width,
        precision=precision,
        threshold=threshold,
        edge_items=edge_items,
    )


@pytest.mark.parametrize("dtype", FLOATS8)
def test_every_8_bit_float_alone_and_beside_one(dtype):
    every = torch.arange(256).to(torch.uint8).view(getattr(torch, dtype))
    one = torch.ones(1).to(every.dtype)
    same(every)
    for value in every.view(torch.uint8).split(1):
        same(value.view(every.dtype))
        same(torch.cat([value, one.view(torch.uint8)]).view(every.dtype))


@pytest.mark.parametrize("dtype", [*FLOATS, *FLOATS8, *COMPLEX, *INTEGERS, "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0, 2), (1,), (1, 1, 1), (2000,), (40, 40)])
def test_shapes_and_types(dtype, shape):
    same(torch.ones(shape).to(getattr(torch, dtype)))


@pytest.mark.parametrize("number", [1e8, 1.00000001e8, 1e-4, 0.99e-4, 1e3, 2.0**53, 0.1, 12.5])
def test_where_the_style_changes(number):
    for other in (1.0, 0.5, 1e-4, number, number * 1000, number * 1001, -3.0):
        same(torch.tensor([number, other, 0.0], dtype=torch.float64))


@pytest.mark.parametrize("count", range(1, 40))
def test_suffixes_move_to_a_new_line_at_the_right_column(count):
    for last in (1, 10, 100):
        number = torch.arange(count)
        number[-1] = last
        for dtype in (torch.int64, torch.float32, torch.float16, torch.bfloat16, torch.complex128):
            same(number.to(dtype))


def test_the_weights_of_a_first_convolution():
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(1, 6, 5)
    text = tensor_text(TorchValues(conv.weight), parameter=True, requires_grad=True)
    assert text == repr(conv.weight)
    assert text.startswith("Parameter containing:\ntensor([[[[-0.0015,  0.1073, -0.1646,")
    assert text.endswith("]]]], requires_grad=True)")
    assert tensor_text(TorchValues(conv.weight[0])) == repr(conv.weight[0].detach())
    assert tensor_text(TorchValues(conv.bias), parameter=True, requires_grad=True) == repr(
        conv.bias
    )


@pytest.mark.parametrize("dtype", [torch.qint8, torch.quint8, torch.qint32])
@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (2, 3), (60, 60)])
def test_quantized_per_tensor(dtype, shape):
    tensor = torch.quantize_per_tensor(
        torch.linspace(-1, 1, math.prod(shape)).reshape(shape), 0.1, 3, dtype
    )
    words = "quantization_scheme=torch.per_tensor_affine, scale=0.1, zero_point=3"
    assert tensor_text(TorchValues(tensor), quantization=words) == repr(tensor)


@pytest.mark.parametrize("channels", [1, 2, 30])
def test_quantized_per_channel(channels):
    scales = torch.linspace(0.1, 0.2, channels, dtype=torch.float64)
    points = torch.arange(channels)
    weight = torch.linspace(-1, 1, channels * 4).reshape(channels, 4)
    tensor = torch.quantize_per_channel(weight, scales, points, 0, torch.qint8)
    words = (
        "quantization_scheme=torch.per_channel_affine, "
        f"scale={tensor.q_per_channel_scales()}, zero_point={points}, axis=0"
    )
    assert tensor_text(TorchValues(tensor), quantization=words) == repr(tensor)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool", "complex64"])
@pytest.mark.parametrize("shape", [(), (5,), (0,), (6, 1, 5, 5)])
def test_the_meta_device_is_not_read(dtype, shape):
    values = CountedValues(shape, dtype)
    tensor = torch.empty(shape, device="meta", dtype=getattr(torch, dtype))
    assert tensor_text(values, device="meta") == repr(tensor)
    if values.dtype.learnable:
        parameter = torch.nn.Parameter(tensor)
        text = tensor_text(values, device="meta", parameter=True, requires_grad=True)
        assert text == repr(parameter)
    assert values.values_read == 0


def test_a_tensor_of_another_device_says_so():
    text = tensor_text(TorchValues(torch.tensor([1, 2]).to(torch.int8)), device="cuda:0")
    assert text == "tensor([1, 2], device='cuda:0', dtype=torch.int8)"


def test_a_lazy_parameter_is_named_only():
    values = CountedValues(None)
    lazy = torch.nn.parameter
    assert tensor_text(values, parameter=True) == repr(lazy.UninitializedParameter())
    assert tensor_text(values) == repr(lazy.UninitializedBuffer())


def test_types_that_pytorch_lacks_are_not_said_to_be_its_own():
    assert tensor_text(CountedValues((2,), "float4_e2m1fn")).endswith(", dtype=float4_e2m1fn)")
    assert tensor_text(CountedValues((2,), "uint4")) == "tensor([0, 1], dtype=torch.uint4)"


@pytest.mark.parametrize("shape", [(10**10,), (10**5, 10**5), (1000, 2, 10**4, 500)])
def test_only_the_edges_of_a_large_tensor_are_read(shape):
    values = CountedValues(shape)
    text = tensor_text(values)
    assert 0 < values.values_read <= 6 ** len(shape)
    ends = [0, 1, 2, "...", shape[-1] - 3, shape[-1] - 2, shape[-1] - 1]
    assert ",".join(map(str, ends)) in "".join(text.split())
    small = TorchValues(torch.rand(30, 7, 6, 20))
    tensor_text(small)
    assert small.values_read == 6 * 6 * 6 * 6


def test_an_empty_tensor_is_not_read():
    values = CountedValues((0, 10**9))
    assert tensor_text(values) == "tensor([], size=(0, 1000000000), dtype=torch.int64)"
    assert values.values_read == 0


@pytest.mark.parametrize("shape", [(7,) * 20, (2,) * 40, (6,) * 8])
def test_edges_too_many_to_print_are_refused_before_they_are_read(shape):
    values = CountedValues(shape)
    with pytest.raises(UsageError, match=r"too many values to print; saw shape .* Print a slice"):
        tensor_text(values)
    assert values.values_read == 0


@pytest.mark.parametrize("axes", [65, 100_000])
def test_more_axes_than_an_array_has_are_refused(axes):
    with pytest.raises(ValuesError, match=f"more than 64 axes cannot be printed; saw {axes}"):
        tensor_text(CountedValues((1,) * axes))


def test_pytorch_is_not_imported():
    code = "import sys, weigh._tensor_text; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_only_taken_for_a_parameter_is_printed_as_a_plain_tensor(tmp_path: Path) -> None:
    state = {"weight": torch.ones(2)}
    torch.save(state, tmp_path / "state.pt")
    for source in (state, {"weight": np.ones(2, "f4")}, tmp_path / "state.pt"):
        tensor = weigh.open(source)["weight"]
        assert (tensor.role, tensor.role_status) == ("parameter", "inferred")
        assert tensor.text() == "tensor([1., 1.])"
    said = {"weight": torch.nn.Parameter(torch.ones(2))}
    torch.save(said, tmp_path / "said.pt")
    for source in (said, tmp_path / "said.pt"):
        assert weigh.open(source)["weight"].text() == repr(said["weight"])
