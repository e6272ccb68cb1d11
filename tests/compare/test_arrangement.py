"""The order of one tensor in another, held against NumPy's transposing and taking."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

import weigh
from weigh._compare.alike import find_alike
from weigh._compare.arranged import Placed, Reshaped, arranged
from weigh._compare.arrangement import Arrangement, axes_arrangement, fitted, squeezed
from weigh._compare.patterns import patterns
from weigh._compare.relaying import find_exact
from weigh._errors import ValuesError
from weigh._index import Region

Array = np.ndarray[Any, Any]


def tensor(array: Any, name: str = "layer.weight") -> weigh.Tensor:
    found = weigh.open({name: array})[name]
    assert isinstance(found, weigh.Tensor)
    return found


def by_numpy(array: Array, found: Arrangement, shape: tuple[int, ...]) -> Array:
    """Put B's values in A's order as the fields of an arrangement say, by NumPy."""
    seen = array.reshape(array.shape if found.through is None else found.through).transpose(
        found.permuted
    )
    for axis, order in found.orders.items():
        seen = np.take(seen, order, axis=axis)
    return seen.reshape(shape)


def exactly(a: Array, b: Array, name: str = "layer.weight") -> str:
    """Find the order, see that it is right, and give its words."""
    one, other = tensor(a, name), tensor(b, name)
    found = find_exact(one, other)
    assert found is not None
    assert found.exact
    assert_reads(found, a, b)
    return found.words


def assert_reads(found: Arrangement, a: Array, b: Array) -> None:
    assert by_numpy(b, found, a.shape).tobytes() == a.tobytes()
    values = arranged(tensor(b).values, found, a.shape)
    assert (values.shape, values.dtype) == (a.shape, tensor(b).dtype)
    assert values.read(Region.whole(a.shape)).tobytes() == a.tobytes()
    assert patterns(values, Region.whole(a.shape)).tobytes() == a.tobytes()


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blocks(array: Array, order: list[int]) -> Array:
    """Put equal blocks of rows in another order."""
    return array.reshape(len(order), -1, *array.shape[1:])[order].reshape(array.shape)


SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=5).map(tuple)
KINDS = st.sampled_from(
    ["float32", "float16", "int8", "float64", "complex64", "complex128", "bool"]
)


def drawn(shape: tuple[int, ...], kind: str, few: bool, seed: int) -> Array:
    numbers = np.random.default_rng(seed)
    if few or kind == "bool":
        return numbers.integers(0, 2, shape).astype(kind)
    return (numbers.standard_normal(shape) * 50).astype(kind)


@given(SHAPES, KINDS, st.booleans(), st.integers(0, 2**32), st.data())
def test_any_order_of_axes_and_positions(
    shape: tuple[int, ...], kind: str, few: bool, seed: int, data: st.DataObject
) -> None:
    a = drawn(shape, kind, few, seed)
    b = a.transpose(data.draw(st.permutations(range(a.ndim))))
    moved = 0
    for axis in range(b.ndim):
        if b.shape[axis] > 1 and data.draw(st.booleans()):
            b = np.take(b, data.draw(st.permutations(range(b.shape[axis]))), axis=axis)
            moved += 1
    found = find_exact(tensor(a), tensor(np.ascontiguousarray(b)))
    # Of 0s and 1s alone there may be too little to tell slices apart by.
    if found is None:
        assert few or kind in ("bool", "int8")
        assert moved
    else:
        assert_reads(found, a, np.ascontiguousarray(b))
        assert found.exact


@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([0.2, 0.5]))
def test_matrices_of_few_values_and_equal_rows(seed: int, turned: bool, share: float) -> None:
    numbers = np.random.default_rng(seed)
    a = (numbers.random((24, 36)) < share).astype(np.float32)
    a[numbers.integers(0, 24, 5)] = 0
    b = a[numbers.permutation(24)][:, numbers.permutation(36)]
    exactly(a, np.ascontiguousarray(b.T if turned else b))


def test_an_identity_of_which_all_rows_are_alike() -> None:
    a = np.eye(30, dtype=np.float32)
    for seed in range(5):
        exactly(a, a[np.random.default_rng(seed).permutation(30)])


@given(st.integers(0, 2**32), st.data())
def test_values_that_are_not_an_order_are_none(seed: int, data: st.DataObject) -> None:
    numbers = np.random.default_rng(seed)
    a = normal(12, 10, seed=seed)
    b = a[numbers.permutation(12)].T.copy()
    i, j = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 11))
    near = b.copy()
    near[i, j] = np.nextafter(near[i, j], np.float32(9))
    assert find_exact(tensor(a), tensor(near)) is None
    near = b.copy()
    near[i, j], near[i - 1, j - 1] = b[i - 1, j - 1], b[i, j]  # the same multiset
    assert find_exact(tensor(a), tensor(near)) is None
    assert find_exact(tensor(a), tensor(numbers.permutation(a.reshape(-1)).reshape(12, 10))) is None
    assert find_exact(tensor(a), tensor(a.astype(np.float64))) is None
    assert find_exact(tensor(a), tensor(a[1:])) is None


def test_a_value_that_hashes_do_not_see_is_seen_by_the_verification() -> None:
    a = normal(8, 8)
    b = a.copy()
    # Rows and columns hold the same values as before: a Latin square turned in one place.
    a[:2, :2] = b[:2, :2] = [[1, 2], [2, 1]]
    b[:2, :2] = [[2, 1], [1, 2]]
    assert find_exact(tensor(a), tensor(b)) is None
    exactly(a, a[::-1].copy())


WORDS = [
    (lambda a: a.T, "transposed"),
    (lambda a: a[None], "shape [1, 48, 20] as [48, 20]"),
    (lambda a: a.T[:, None], "transposed; shape [20, 1, 48] as [48, 20]"),
    (lambda a: a.reshape(6, 8, 20), "shape [6, 8, 20] as [48, 20]"),
    (lambda a: a.reshape(6, 8, 20).transpose(2, 0, 1), "axes in the order 2, 0, 1 of [6, 8, 20]"),
    (lambda a: a[::-1], "rows reversed"),
    (lambda a: blocks(a, [1, 0]), "halves of the rows swapped"),
    (lambda a: blocks(a, [0, 3, 1, 2]), "4 blocks of 12 rows in the order 0, 3, 1, 2"),
    (lambda a: blocks(a, [0, 4, 1, 2, 5, 3, 7, 6]), "blocks of 6 rows in another order"),
    (lambda a: a[np.random.default_rng(1).permutation(48)], "rows permuted (axis out_features)"),
    (lambda a: a[:, [*range(1, 19), 0, 19]], "columns permuted (axis in_features)"),
    (
        lambda a: blocks(a, [2, 0, 1]).T,
        "transposed; 3 blocks of 16 rows in the order 2, 0, 1",
    ),
    (
        lambda a: a.reshape(6, 4, 2, 20).swapaxes(1, 2).reshape(48, 20),
        "rows of each head of 8 interleaved (rotary), pairs -> halves",
    ),
    (
        lambda a: a.reshape(6, 2, 4, 20).swapaxes(1, 2).reshape(48, 20),
        "rows of each head of 8 interleaved (rotary), halves -> pairs",
    ),
    (
        lambda a: a.reshape(3, 8, 2, 20).swapaxes(0, 1).reshape(48, 20),
        "query, key and value of each head of 2 rows apart -> together",
    ),
    (lambda a: a.reshape(4, 12, 20).swapaxes(0, 1).reshape(48, 20), "rows interleaved by 4"),
]


@pytest.mark.parametrize(("relaid", "words"), WORDS, ids=[words for _, words in WORDS])
def test_words(relaid: Any, words: str) -> None:
    a = normal(48, 20)
    assert exactly(a, np.ascontiguousarray(relaid(a))) == words
    # Rows of zeros, of which one is any other, leave the plainest order.
    a[[3, 4, 17, 18, 40]] = 0
    a[:, 5:8] = 0
    found = exactly(a, np.ascontiguousarray(relaid(a)))
    assert found == words or "permuted" in words


def test_heads_biases_filters_and_both_neighbours_of_a_layer() -> None:
    a = normal(512, 64)
    b = blocks(a, [3, 1, 0, 2, 7, 5, 4, 6])
    assert exactly(a, b, "h.0.attn.q_proj.weight") == "heads of 64 rows in another order"
    order = np.random.default_rng(2).permutation(512)
    assert exactly(a[:, 0].copy(), a[order, 0], "fc.bias") == "values permuted (axis 0)"
    assert exactly(a.T.copy(), a[order].T.copy()) == "columns permuted (axis in_features)"
    both = a[order][:, np.random.default_rng(3).permutation(64)]
    rows_and_columns = "rows permuted (axis out_features); columns permuted (axis in_features)"
    assert exactly(a, both) == rows_and_columns
    assert exactly(a, both.T.copy()) == f"transposed; {rows_and_columns}"
    k = normal(32, 16, 3, 5)
    assert exactly(k, k[::-1].copy()) == "filters reversed"
    moved = k[np.random.default_rng(4).permutation(32)]
    assert exactly(k, moved) == "filters permuted (axis out_channels)"
    words = "axes in the order 2, 3, 1, 0; filters permuted (axis out_channels)"
    assert exactly(k, moved.transpose(2, 3, 1, 0).copy()) == words
    assert exactly(normal(4, 6, 1, 3), normal(4, 6, 1, 3)[:, :, 0]) == (
        "shape [4, 6, 3] as [4, 6, 1, 3]"
    )


def test_a_bias_of_few_values_in_another_order_of_gates() -> None:
    a = np.repeat(np.arange(4.0, dtype=np.float32), 8)
    a[3:5] = 9
    assert exactly(a, blocks(a, [0, 3, 1, 2])) == "4 blocks of 8 values in the order 0, 3, 1, 2"


@pytest.mark.parametrize(
    ("kind", "letters", "order"),
    [("LSTM", "i, f, g, o", [0, 3, 1, 2]), ("GRU", "r, z, n", [1, 0, 2])],
)
def test_gates_are_named_by_the_kind_of_the_layer(
    kind: str, letters: str, order: list[int]
) -> None:
    made = getattr(torch.nn, kind)(8, 16)
    net = weigh.open(made)
    theirs = [letters.split(", ")[k] for k in order]
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        a = getattr(made, name).detach().numpy()
        b = blocks(a, order)
        found = find_exact(net[name], tensor(b[None]))
        assert found is not None
        assert found.words.startswith(f"gates {letters} -> {', '.join(theirs)}; shape [1, ")
        assert_reads(found, a, b[None])
        back = find_exact(tensor(b[None]), net[name])
        assert back is not None
        assert back.words.startswith(f"gates {', '.join(theirs)} -> {letters}; ")


def test_any_type_and_any_way_of_lying(tmp_path: Path) -> None:
    order = torch.randperm(48)
    types = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int64)
    for number, dtype in enumerate(types):
        a = (torch.randn(48, 20) * 40).to(dtype)
        b = a.t().contiguous()[:, order]
        torch.save({"a": a.t().contiguous().t(), "b": b.contiguous()}, tmp_path / f"{number}.pt")
        net = weigh.open(tmp_path / f"{number}.pt")
        found = find_exact(net["a"], net["b"])
        assert found is not None
        assert found.permuted == (1, 0)
        np.testing.assert_array_equal(
            arranged(net["b"].values, found, (48, 20)).read(Region.whole((48, 20))),
            net["a"].read(),
        )
    nan = torch.full((6, 6), float("nan")).bfloat16()
    nan[0, 1:] = torch.arange(5)
    save_file({"a": nan, "b": nan.t().contiguous()}, tmp_path / "n.safetensors")
    net = weigh.open(tmp_path / "n.safetensors")
    found = find_exact(net["a"], net["b"])
    assert found is not None
    assert found.words == "transposed"


def test_a_large_tensor_is_looked_at_in_pieces() -> None:
    a = np.random.default_rng(0).integers(0, 2**16, (3000, 1100), np.uint16)
    order = np.random.default_rng(1).permutation(3000)
    assert exactly(a, a[order]) == "rows permuted (axis out_features)"
    assert exactly(a, a.T.copy()) == "transposed"
    b = a[order].T.copy()
    b[1099, 2999] ^= 1
    assert find_exact(tensor(a), tensor(b)) is None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((0, 3), (3, 0)),
        ((0,), (0, 1)),
        ((2,) * 10, (2,) * 9 + (1, 2)),
        ((4, 3), (5, 3)),
        ((), (2,)),
    ],
)
def test_shapes_that_have_no_order(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    one, other = tensor(normal(*a)), tensor(normal(*b, seed=1))
    assert find_exact(one, other) is None
    assert find_alike(one, other) is None
    assert axes_arrangement(one, other) is None


def test_many_axes() -> None:
    ones = np.full((1,) * 10, 7, np.float32)
    assert exactly(ones, ones.reshape(())) == f"shape [] as {[1] * 10}"
    assert exactly(ones.reshape(()), ones) == f"shape {[1] * 10} as []"
    a = normal(*(2,) * 10)
    assert exactly(a, a.reshape(32, 32)) == f"shape [32, 32] as {[2] * 10}"
    assert find_exact(tensor(a), tensor(a.swapaxes(0, 9).copy())) is None
    assert find_alike(tensor(a), tensor(a.swapaxes(0, 9).copy())) is None
    b = normal(2, 1, 3, 4, 1, 5, 6)
    for order in list(permutations(range(7)))[::500]:
        exactly(b, np.ascontiguousarray(b.transpose(order)))


def test_values_that_are_repeated_or_are_not_there(tmp_path: Path) -> None:
    few = torch.randn(4)
    state = {
        "a": few.as_strided((2**20, 2**20), (0, 0)),
        "b": few[1:].as_strided((2**20,) * 2, (0, 0)),
    }
    torch.save(state, tmp_path / "a.pt")
    net = weigh.open(tmp_path / "a.pt")
    assert find_exact(net["a"], net["b"]) is None
    assert find_alike(net["a"], net["b"]) is None
    lazy = weigh.open(torch.nn.LazyLinear(4))["weight"]
    meta = weigh.open(torch.nn.Linear(4, 5, device="meta"))["weight"]
    assert find_exact(lazy, lazy) is None
    assert find_alike(lazy, lazy) is None
    assert axes_arrangement(lazy, lazy) is None
    with pytest.raises(ValuesError):
        find_exact(meta, tensor(normal(4, 5)))


def test_an_axis_of_millions_of_positions_is_only_turned() -> None:
    a = np.random.default_rng(0).integers(0, 2**8, (2, 1_200_000), np.uint8)
    assert exactly(a, a.T.copy()) == "transposed"
    assert find_exact(tensor(a), tensor(a[:, ::-1].copy())) is None
    assert find_exact(tensor(a[0]), tensor(a[0][::-1].copy())) is None
    assert find_alike(tensor(a), tensor(a[:, ::-1].copy())) is None


def test_rows_of_values_that_are_quantized_in_blocks(tmp_path: Path) -> None:
    """As llama.cpp's conversion of Llama's files turns the rows of each head."""
    a = normal(64, 96)
    b = a.reshape(4, 2, 8, 96).swapaxes(1, 2).reshape(64, 96)
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    for name, array in (("a.weight", a), ("b.weight", b)):
        packed = gguf.quantize(array, gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    net = weigh.open(tmp_path / "a.gguf")
    one, other = net["a.weight"], net["b.weight"]
    found = find_exact(one, other)
    assert found is not None
    assert found.words == "rows of each head of 16 interleaved (rotary), halves -> pairs"
    got = arranged(other.values, found, (64, 96)).read(Region.whole((64, 96)))
    np.testing.assert_array_equal(got, one.read())
    whole = find_alike(tensor(a), other)
    assert whole is not None
    assert whole.words == found.words


def found_by_axes(
    a: Any, b: Any, name: str = "layer.weight", other: str = ""
) -> Arrangement | None:
    return axes_arrangement(tensor(a, name), tensor(b, other or name))


def test_the_order_of_axes_by_their_names_and_sizes() -> None:
    square = normal(6, 6)
    assert found_by_axes(square, square) is None
    found = found_by_axes(normal(6, 4), normal(4, 6))  # sizes tell
    assert found == Arrangement((1, 0), {}, False, "transposed", False, None)
    found = found_by_axes(normal(5, 1, 4), normal(4, 5))
    assert found is not None
    assert (found.permuted, found.through, found.reshaped) == ((2, 1, 0), (4, 1, 5), True)
    torch_net = weigh.open(
        torch.nn.ModuleDict({"c": torch.nn.Conv2d(7, 7, 7), "d": torch.nn.Linear(9, 9)})
    )
    # Named as Flax names them, whose kernels have their outputs last.
    flax_net = weigh.open({"c": {"kernel": normal(7, 7, 7, 7)}, "d": {"kernel": normal(9, 9)}})
    found = axes_arrangement(torch_net["c.weight"], flax_net["c.kernel"])
    assert found is not None
    assert (found.permuted, found.words) == ((3, 2, 0, 1), "axes in the order 2, 3, 1, 0")
    found = axes_arrangement(torch_net["d.weight"], flax_net["d.kernel"])
    assert found is not None
    assert found.words == "transposed"
    found = axes_arrangement(flax_net["c.kernel"], torch_net["c.weight"])
    assert found is not None
    assert found.permuted == (2, 3, 1, 0)
    assert axes_arrangement(torch_net["c.bias"], torch_net["c.bias"]) is None


def test_the_gates_that_a_layer_of_onnx_has_by_its_specification(tmp_path: Path) -> None:
    made = torch.nn.GRU(8, 8)
    w = made.weight_ih_l0.detach().numpy()
    theirs = blocks(w, [1, 0, 2])[None]
    node = onnx.helper.make_node("GRU", ["x", "w"], ["y"], name="it", hidden_size=8)
    x, y = (onnx.helper.make_tensor_value_info(n, 1, [1, 1, 8]) for n in "xy")
    graph = onnx.helper.make_graph(
        [node], "g", [x], [y], [onnx.numpy_helper.from_array(theirs, "w")]
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    a, b = weigh.open(made)["weight_ih_l0"], weigh.open(tmp_path / "a.onnx")["w"]
    found = axes_arrangement(a, b)
    assert found is not None
    assert not found.exact
    assert found.words == "gates r, z, n -> z, r, n; shape [1, 24, 8] as [24, 8]"
    assert_reads(found, w, theirs)
    again = find_exact(a, b)
    assert again is not None
    assert again.exact
    assert (again.words, again.orders, again.permuted) == (found.words, found.orders, (0, 1))
    back = axes_arrangement(b, a)
    assert back is not None
    assert_reads(back, theirs, w)


def noisy(array: Array, share: float = 0.3) -> Array:
    noise = np.random.default_rng(9).standard_normal(array.shape)
    return np.asarray(array + share * array.std() * noise, array.dtype)


@given(st.integers(0, 2**32), st.sampled_from([(40, 30), (30, 8, 3, 3), (100, 16)]), st.data())
def test_an_order_is_found_though_the_values_changed(
    seed: int, shape: tuple[int, ...], data: st.DataObject
) -> None:
    numbers = np.random.default_rng(seed)
    a = normal(*shape, seed=seed) + np.float32(data.draw(st.sampled_from([0, 2])))
    order = data.draw(st.sampled_from(list(permutations(range(a.ndim)))))
    along = numbers.permutation(shape[0]) if data.draw(st.booleans()) else np.arange(shape[0])
    b = noisy(np.ascontiguousarray(a[along].transpose(order)))
    found = find_alike(tensor(a), tensor(b))
    if order == tuple(range(a.ndim)) and np.array_equal(along, np.arange(shape[0])):
        assert found is None
        return
    assert found is not None
    assert not found.exact
    close = by_numpy(b, found, shape)
    assert np.linalg.norm(close - a) < 0.4 * np.linalg.norm(a - a.mean()) + 1


def test_an_order_is_found_in_other_types_and_with_dead_rows() -> None:
    a = normal(96, 64)
    a[10:14] = 0
    order = np.random.default_rng(5).permutation(96)
    quantized = np.round(a[order] * 30).astype(np.int8)
    for b in (quantized, a[order].astype(np.float16), a[order].astype(np.float64)):
        found = find_alike(tensor(a), tensor(b))
        assert found is not None
        assert found.words == "rows permuted (axis out_features)"
        np.testing.assert_allclose(by_numpy(b, found, a.shape) / b.std() * a.std(), a, atol=0.05)
    lstm = torch.nn.LSTM(16, 32)
    w = lstm.weight_hh_l0.detach().numpy()
    found = find_alike(
        weigh.open(lstm)["weight_hh_l0"], tensor(noisy(blocks(w, [0, 3, 1, 2]))[None])
    )
    assert found is not None
    assert found.words.startswith("gates i, f, g, o -> i, o, f, g; ")
    gru = torch.nn.GRU(16, 32)
    w = gru.weight_ih_l0.detach().numpy()
    found = find_alike(weigh.open(gru)["weight_ih_l0"], tensor(noisy(blocks(w, [1, 0, 2]))))
    assert found is not None
    assert found.words == "gates r, z, n -> z, r, n"


def test_nothing_is_found_between_tensors_that_have_nothing_to_do_with_each_other() -> None:
    numbers = np.random.default_rng(6)
    for _ in range(200):
        axes = int(numbers.integers(1, 5))
        shape = tuple(map(int, numbers.integers(1, 12 if axes == 4 else 40, axes)))
        first, second = (of_one_sort(numbers, shape) for _ in range(2))
        other = second.transpose(numbers.permutation(axes))
        assert find_alike(tensor(first), tensor(np.ascontiguousarray(other))) is None


def of_one_sort(numbers: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Make noise of which each row has a size and a mean of its own, as those of networks have."""
    rows = (shape[0],) + (1,) * (len(shape) - 1)
    size, mean = numbers.gamma(2, 1, rows), numbers.standard_normal(rows)
    return np.asarray(numbers.standard_normal(shape) * size + mean, np.float32)


def test_values_that_are_alike_as_they_lie_or_all_the_same_have_no_other_order() -> None:
    a = normal(30, 30)
    assert find_alike(tensor(a), tensor(noisy(a, 1.0))) is None
    assert find_alike(tensor(a * 0), tensor(a.T * 0 + 1)) is None
    assert find_alike(tensor(a * np.float32(np.nan)), tensor(a)) is None
    assert find_alike(tensor(a[0]), tensor(a[0][::-1].copy())) is None


class Counted:
    """Values of which it is noted what is read of them."""

    def __init__(self, array: Array) -> None:
        self.inner = tensor(array).values
        self.dtype, self.shape, self.extent = self.inner.dtype, self.inner.shape, None
        self.read_values, self.largest = 0, 0

    def read(self, region: Region) -> Array:
        found = self.inner.read(region)
        self.read_values += found.size
        self.largest = max(self.largest, found.size)
        return found


@given(st.data())
def test_any_region_is_read_in_another_order(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    a = normal(*shape)
    permuted = tuple(data.draw(st.permutations(range(a.ndim))))
    seen = a.transpose(permuted)
    orders = {
        axis: tuple(data.draw(st.permutations(range(size))))
        for axis, size in enumerate(seen.shape)
        if data.draw(st.booleans())
    }
    for axis, order in orders.items():
        seen = np.take(seen, order, axis=axis)
    flat = data.draw(
        st.sampled_from([seen.shape, (seen.size,), (seen.size, 1), _halved(seen.shape)])
    )
    found = arranged(Counted(a), Arrangement(permuted, orders), flat)
    seen = seen.reshape(flat)
    index = tuple(
        data.draw(st.integers(0, n - 1) if data.draw(st.booleans()) else st.slices(n)) for n in flat
    )
    index = tuple(i if isinstance(i, int) or (i.step or 1) > 0 else slice(None) for i in index)
    region = Region.of(index, flat)
    np.testing.assert_array_equal(found.read(region), seen[region.slices], strict=True)


def _halved(shape: tuple[int, ...]) -> tuple[int, ...]:
    first = shape[0]
    return (2, first // 2, *shape[1:]) if first % 2 == 0 else (1, *shape)


def test_a_slice_reads_little_of_a_large_tensor() -> None:
    a = normal(2000, 1000)
    order = np.random.default_rng(7).permutation(2000)
    counted = Counted(a)
    rows = Placed(counted, (0, 1), {0: order})
    part = rows.read(Region.of((slice(0, 500), slice(None)), (2000, 1000)))
    np.testing.assert_array_equal(part, a[order[:500]])
    assert counted.read_values <= 4 * part.size
    counted = Counted(a)
    few = Placed(counted, (1, 0), {1: order}).read(
        Region.of((slice(0, 7), slice(0, 4)), (1000, 2000))
    )
    np.testing.assert_array_equal(few, a[order[:4]][:, :7].T)
    assert counted.read_values <= 2000 * 7
    for shape in ((2_000_000,), (500, 4000), (4000, 500), (20, 100, 10, 100)):
        counted = Counted(a)
        flat = Reshaped(counted, shape)
        index = tuple(slice(n // 3, n // 2, 2) for n in shape)
        got = flat.read(Region.of(index, shape))
        np.testing.assert_array_equal(got, a.reshape(shape)[index])
        assert counted.largest <= max(4 * got.size + 2000, 1 << 18)
    assert Reshaped(tensor(a).values, (1000, 2000)).raw(0, 3).tobytes() == a[0, :3].tobytes()
    with pytest.raises(ValueError, match="as many"):
        Reshaped(counted, (3,))


@given(SHAPES, st.data())
def test_shapes_with_axes_of_1_are_fitted(shape: tuple[int, ...], data: st.DataObject) -> None:
    """Whatever axes of 1 stand where, the order of the others comes out right."""
    a = np.arange(np.prod(shape)).reshape(shape)
    moved = a.transpose(data.draw(st.permutations(range(a.ndim))))
    bare = moved.squeeze()
    for at in data.draw(st.lists(st.integers(0, 2), max_size=3)):
        bare = np.expand_dims(bare, min(at, bare.ndim))
    found = find_exact(tensor(a), tensor(bare))
    assert found is not None
    assert_reads(found, a, np.ascontiguousarray(bare))
    if len(squeezed(shape)) == 2:
        for order in ((0, 1), (1, 0)):
            if [n for n in bare.shape if n > 1] == [[n for n in shape if n > 1][k] for k in order]:
                permuted, through = fitted(shape, bare.shape, order)
                seen = bare.reshape(through or bare.shape).transpose(permuted)
                assert seen.shape == shape
