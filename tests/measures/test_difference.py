"""What two tensors differ by, held against NumPy in float64."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import weigh
from weigh._measures._kernels import Comparison, vector_level
from weigh._measures.compare import Outcome, Pair, compare
from weigh._measures.difference import Difference

FLOATS = ("float32", "float64", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")


def values_of(array):
    return weigh.open({"w": array})["w"].values


def outcome(a, b, threads=0, counted=True) -> Outcome:
    [found] = compare([Pair(values_of(a), values_of(b), counted=counted)], threads)
    return found


def difference(a, b, **options) -> Difference:
    found = outcome(a, b, **options)
    assert found.difference is not None, found.problem
    return found.difference


def wide(array) -> np.ndarray:
    if isinstance(array, torch.Tensor):
        return array.detach().to(torch.float64).numpy()
    return np.asarray(array, np.float64)


def check(found: Difference, a, b, changed: int | None = None) -> None:
    """Hold everything against NumPy's own computation."""
    x, y = wide(a), wide(b)
    both = np.isfinite(x) & np.isfinite(y)
    if changed is None:
        changed = int((~((x == y) | (np.isnan(x) & np.isnan(y)))).sum())
    assert found.changed_values == changed
    assert found.count == x.size
    x, y = np.where(both, x, 0), np.where(both, y, 0)
    if not changed:
        assert found.relative_change == 0
        return
    assert found.finite == both.sum()
    assert found.odd_a == (~np.isfinite(wide(a))).sum()
    assert found.odd_b == (~np.isfinite(wide(b))).sum()
    d = y - x
    near = {"rel": 1e-12, "abs": 1e-300}
    assert found.norm_a == pytest.approx(np.linalg.norm(x), **near)
    assert found.norm_b == pytest.approx(np.linalg.norm(y), **near)
    assert found.norm_change == pytest.approx(np.linalg.norm(d), **near)
    if np.linalg.norm(x):
        ratio = np.linalg.norm(d) / np.linalg.norm(x)
        assert found.relative_change == pytest.approx(ratio, **near)
    if np.linalg.norm(x) and np.linalg.norm(y):
        cosine = (x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y)
        assert found.cosine == pytest.approx(cosine, abs=1e-12)
    else:
        assert found.cosine is None
    assert found.max_abs == np.abs(d).max(initial=0)
    if found.max_abs:
        assert found.max_at == np.unravel_index(np.abs(d).argmax(), d.shape)
    assert found.sign_flips == (np.sign(x) * np.sign(y) < 0).sum()
    assert found.to_zero == ((y == 0) & (x != 0) & both).sum()
    assert found.from_zero == ((x == 0) & (y != 0) & both).sum()


def pair_of(dtype: str, shape=(97, 311), seed=0):
    torch.manual_seed(seed)
    a = torch.randn(shape) * 0.1
    b = torch.where(torch.rand(shape) < 0.7, a + torch.randn(shape) * 0.03, a)
    b[torch.rand(shape) < 0.05] = 0
    return a.to(getattr(torch, dtype)), b.to(getattr(torch, dtype))


def bits_differ(a: torch.Tensor, b: torch.Tensor) -> int:
    width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    return int((a.contiguous().view(width) != b.contiguous().view(width)).sum())


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_measure_is_numpys(dtype, level):
    before = vector_level(level)
    try:
        a, b = pair_of(dtype)
        bits = bits_differ(a, b)
        check(difference(a, b), a, b, bits)
        # As they do not lie end to end.
        check(difference(a.t(), b.t()), a.t(), b.t(), bits)
        check(difference(a, b.t().contiguous().t()), a, b, bits)
    finally:
        vector_level(before)


@pytest.mark.parametrize("first", FLOATS)
@pytest.mark.parametrize("second", FLOATS)
def test_types_that_differ_are_compared_as_numbers(first, second):
    a, b = pair_of("float32")[0].to(getattr(torch, first)), pair_of(second)[1]
    if first != second:
        check(difference(a, b), a, b)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["f4", "f8", "f2"]),
    npst.array_shapes(max_dims=4, max_side=9),
    st.data(),
)
def test_any_values_and_shapes(kind, shape, data):
    dtype = np.dtype(kind)
    elements = npst.from_dtype(dtype)
    a, b = (data.draw(npst.arrays(dtype, shape, elements=elements)) for _ in range(2))
    found = difference(a, b)
    bits = {2: "u2", 4: "u4", 8: "u8"}[dtype.itemsize]
    changed = int((a.view(bits) != b.view(bits)).sum()) if a.ndim else None
    assert found.changed_values == changed
    finite = np.isfinite(a) & np.isfinite(b)
    x = [Fraction(float(v)) for v in np.where(finite, a, 0).ravel()]
    y = [Fraction(float(v)) for v in np.where(finite, b, 0).ravel()]
    if not changed:
        return
    assert found.finite == finite.sum()
    dd = sum((q - p) ** 2 for p, q in zip(x, y, strict=True))
    aa = sum(p * p for p in x)
    # Beyond 2^-1000 squares cannot be told from 0 beside others that are large.
    if aa and dd and max(map(abs, x + y)) > 2**-500:
        ratio = dd / aa
        if 2**-900 < ratio < 2**900:
            assert found.relative_change == pytest.approx(math.sqrt(ratio), rel=1e-6)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e300, 1e-300])
def test_squares_beyond_the_range_of_doubles(scale):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, 50))
    b = a + rng.standard_normal((40, 50)) * 0.1
    found, plain = difference(a * scale, b * scale), difference(a, b)
    assert found.relative_change == pytest.approx(plain.relative_change, rel=1e-12)
    assert found.cosine == pytest.approx(plain.cosine, rel=1e-12)
    assert found.norm_change == pytest.approx(plain.norm_change * scale, rel=1e-12)
    assert found.max_at == plain.max_at


def test_small_numbers_beside_very_large_ones_are_no_zeros() -> None:
    a = np.array([1e-300, -1e-300, 1e300, 5.0])
    b = np.array([1e300, 1e-300, 1e300, 5.0])
    found = difference(a, b)
    assert (found.sign_flips, found.to_zero, found.from_zero) == (1, 0, 0)
    assert (found.max_abs, found.max_at) == (1e300, (0,))


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8", "bool", "complex64"])
def test_types_that_are_no_floats(dtype):
    torch.manual_seed(0)
    a = (torch.randn(60, 70) * 40).to(getattr(torch, dtype))
    b = (torch.randn(60, 70) * 40).to(getattr(torch, dtype))
    if dtype == "complex64":
        found = difference(a, b)
        one, other = torch.view_as_real(a).numpy(), torch.view_as_real(b).numpy()
        assert found.count == 2 * a.numel()
        assert found.relative_change == pytest.approx(
            np.linalg.norm(other - one) / np.linalg.norm(one)
        )
        assert found.max_at == np.unravel_index(np.abs(other - one).argmax(), one.shape)[:2]
    else:
        check(difference(a, b), a, b)
    assert difference(a, a.clone()).changed_values == 0


def test_nan_and_infinities_take_no_part_but_are_counted():
    a = np.array([1, np.nan, np.inf, 2, np.nan, -np.inf, 4], "f4")
    b = np.array([1, np.nan, 3, np.inf, 5, -np.inf, 4.5], "f4")
    found = difference(a, b)
    assert (found.changed_values, found.finite, found.max_abs, found.max_at) == (4, 2, 0.5, (6,))
    assert (found.odd_a, found.odd_b) == (4, 3)
    assert found.relative_change == pytest.approx(0.5 / math.sqrt(17))


def test_signed_zeros_differ_in_a_bit_and_in_no_number():
    found = difference(np.zeros(20, "f4"), -np.zeros(20, "f4"))
    assert (found.changed_values, found.max_abs, found.max_at) == (20, 0, None)
    assert (found.sign_flips, found.to_zero, found.relative_change) == (0, 0, 0)


def test_the_answer_does_not_depend_on_threads():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((9, 1_000_003)).astype("f4")
    b = a.copy()
    b[3:] += rng.standard_normal(b[3:].shape).astype("f4")
    one, many = difference(a, b, threads=1), difference(a, b, threads=5)
    assert one == many
    check(one, a, b)


def test_the_order_of_pieces_is_not_seen():
    rng = np.random.default_rng(1)
    n, block = 5 * 16384 + 77, 16384
    a = rng.standard_normal(n).astype("f4")
    b = a + rng.standard_normal(n).astype("f4")
    b[block : 2 * block] = a[block : 2 * block]

    def of(starts):
        whole = Comparison("float32", "float32")
        for start in starts:
            part = Comparison("float32", "float32")
            stop = min(n, start + block)
            part.add(a[start:stop].data.cast("B"), b[start:stop].data.cast("B"), stop - start,
                     start, True)  # fmt: skip
            whole.merge(part)
        assert whole.equal() == [(block, 2 * block)]
        return whole.found(), whole.sums(), whole.changes()

    starts = list(range(0, n, block))
    assert of(starts) == of(starts[::-1]) == of(starts[3:] + starts[:3])


def test_the_changes_have_statistics_of_their_own():
    a, b = (wide(t).astype("f4") for t in pair_of("float32", (300, 400)))
    found = difference(a, b)
    d = (b - a).astype(np.float64)
    assert found.change.count == d.size
    assert found.change.mean == pytest.approx(d.mean(), rel=1e-9)
    assert found.change.std == pytest.approx(d.std(), rel=1e-9)
    assert found.change.zeros == (d == 0).sum()
    assert sum(found.bins) == d.size
    assert difference(a, b, counted=False).change is None


def test_few_values_in_a_large_tensor_are_found():
    a = np.random.default_rng(0).standard_normal((2000, 3000)).astype("f4")
    b = a.copy()
    b[1999, 2999] += 1
    found = difference(a, b)
    assert (found.changed_values, found.max_at) == (1, (1999, 2999))
    check(found, a, b)


def test_values_that_cannot_be_had_are_a_problem_of_that_pair_alone():
    there = values_of(np.ones(3, "f4"))
    meta = weigh.open(torch.nn.Linear(3, 1, device="meta"))["bias"].values
    pairs = [Pair(there, there, 0), Pair(meta, values_of(np.ones(1, "f4")), 1)]
    found = sorted(compare(pairs), key=lambda one: one.key)
    assert found[0].difference.changed_values == 0
    assert found[1].difference is None
    assert "meta device" in found[1].problem


def test_a_tensor_that_repeats_few_values_enormously_is_refused():
    huge = torch.zeros(1).expand(1 << 20, 1 << 20)
    assert "repeat" in outcome(huge, huge).problem


def test_empty_tensors_are_equal():
    assert difference(np.zeros((0, 3), "f4"), np.zeros((0, 3), "f4")).changed_values == 0
    assert difference(np.array(3, "f4"), np.array(4, "f4")).max_abs == 1


def test_progress_comes_to_the_bytes_of_the_first():
    a = np.random.default_rng(0).standard_normal((5000, 2000)).astype("f4")
    told = []
    list(compare([Pair(values_of(a), values_of(a + 1))], 2, told.append))
    assert sum(told) == a.nbytes


def test_whoever_stops_listening_stops_the_work() -> None:
    strided = np.zeros((3000, 6000), "f4").T  # it is read box by box, by one thread
    other = strided + 1
    told = []

    def stop(count):
        told.append(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(compare([Pair(values_of(strided), values_of(other))], 2, stop))
    assert sum(told) < strided.nbytes


def test_too_few_bytes_are_refused():
    with pytest.raises(ValueError, match="fewer bytes"):
        Comparison("float32", "float32").add(b"1234", b"12345678", 2, 0, True)
    with pytest.raises(ValueError, match="int8"):
        Comparison("int8", "float32")
