"""The rank of a change: held against NumPy's SVD in float64, and ranks that were planted."""

from __future__ import annotations

import tracemalloc
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weigh._compare import sketch
from weigh._compare.rank import ChangeRank, change_rank

NARROW: dict[str, Any] = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
WEIGHTS = ["normal", "heavy", "scaled", "outliers"]


def rank_of(change: np.ndarray, **options: Any) -> ChangeRank:
    return change_rank(*change.shape, lambda start, stop: change[start:stop], **options)


def weights(generator: np.random.Generator, kind: str, shape: tuple[int, int]) -> np.ndarray:
    """Draw weights: normal, heavy-tailed, with uneven rows and columns, with outlier columns."""
    made = 0.02 * generator.standard_normal(shape)
    if kind == "heavy":
        made = 0.02 * generator.standard_t(3, shape)
    if kind == "scaled":
        made *= 10 ** generator.uniform(-0.5, 0.5, (shape[0], 1))
        made *= 10 ** generator.uniform(-0.5, 0.5, (1, shape[1]))
    if kind == "outliers":
        made[:, generator.choice(shape[1], 1 + shape[1] // 100, replace=False)] *= 20
    return made


def merged(
    shape: tuple[int, int], rank: int, scale: float, *, dtype: str, kind: str = "normal"
) -> np.ndarray:
    """Add a low-rank update, of a scale relative to the weights, and give the change as stored."""
    generator = np.random.default_rng([*shape, rank])
    before = weights(generator, kind, shape).astype(NARROW[dtype])
    left = generator.standard_normal((shape[0], rank)) * np.arange(1, rank + 1) ** -0.3
    update = left @ generator.standard_normal((rank, shape[1]))
    update *= 0.02 * scale / np.sqrt((update**2).mean())
    after = (before.astype("f8") + update).astype(NARROW[dtype])
    return after.astype("f4") - before.astype("f4")


def assert_told_right(found: ChangeRank, change: np.ndarray) -> None:
    """Hold what is told of singular values against all of them."""
    true = np.linalg.svd(change.astype("f8"), compute_uv=False)
    top = np.array(found.top)
    assert (np.abs(top - true[: len(top)]) <= found.error * true[: len(top)]).all()
    assert found.norm == pytest.approx(np.linalg.norm(true), rel=1e-12)
    total = (true**2).sum()
    shares = [(true[: 1 << k] ** 2).sum() / total for k in range(len(found.energy))]
    assert found.energy == pytest.approx(shares, abs=2 * found.error + 1e-12)


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize(("dtype", "scale"), [("f32", 0.01), ("f16", 0.01), ("bf16", 0.05)])
@pytest.mark.parametrize("shape", [(300, 200), (120, 600), (530, 600)])
def test_a_merged_update_has_the_rank_that_was_planted(
    shape: tuple[int, int], dtype: str, scale: float, kind: str
) -> None:
    for rank in (1, 4, 16):
        change = merged(shape, rank, scale, dtype=dtype, kind=kind)
        # As many as there are rows or columns, if rounding counts.
        assert np.linalg.matrix_rank(change.astype("f8")) > min(shape) / 2
        found = rank_of(change)
        assert found.rank == rank
        assert found.top[rank - 1] > found.noise_edge
        assert found.share(rank) > 0.9
        assert found.exact == (min(shape) <= 512)


def test_a_rank_of_64_and_more_than_are_sought() -> None:
    assert rank_of(merged((600, 600), 64, 0.05, dtype="bf16")).rank == 64
    change = merged((600, 600), 100, 0.05, dtype="f32")
    assert rank_of(change).rank == 100
    assert_told_right(rank_of(change), change)


@pytest.mark.parametrize(("scale", "least"), [(0.005, 0.3), (0.002, 0.15)])
def test_what_was_mostly_rounded_away_is_never_overcounted(scale: float, least: float) -> None:
    right = 0
    for kind in WEIGHTS:
        for rank in (1, 4, 16):
            change = merged((400, 400), rank, scale, dtype="bf16", kind=kind)
            assert least < (change != 0).mean() < 0.7
            found = rank_of(change).rank
            assert found is None or found <= rank
            right += found == rank
    assert right >= 9  # of 12


@pytest.mark.parametrize("shape", [(5, 4), (10, 64), (40, 40), (128, 300), (600, 520)])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_other_weights_are_no_update(shape: tuple[int, int], kind: str) -> None:
    generator = np.random.default_rng(1)
    for _ in range(2 if max(shape) > 400 else 10):
        change = weights(generator, kind, shape) - weights(generator, kind, shape)
        assert rank_of(change.astype("f4")).rank is None


def test_pruning_and_quantisation_are_no_updates() -> None:
    w = weights(np.random.default_rng(2), "scaled", (200, 300)).astype("f4")
    step = np.abs(w).max(1, keepdims=True) / 7
    kept = np.random.default_rng(3).random(w.shape) < 0.5
    for after in (w * kept, w * (np.abs(w) > 0.01), np.round(w / step) * step, w * 0.9):
        assert rank_of(after.astype("f4") - w).rank is None
    assert rank_of(w.astype("f2").astype("f4") - w).rank is None


def test_rows_that_were_set_to_zero_are_directions() -> None:
    w = np.random.default_rng(4).standard_normal((200, 100)).astype("f4")
    change = np.zeros_like(w)
    change[[3, 50, 77]] = -w[[3, 50, 77]]
    assert rank_of(change).rank == 3


@pytest.mark.parametrize("sharp", [False, True])
def test_training_is_of_low_rank_where_it_truly_is(sharp: bool) -> None:
    """One step of plain descent on 8 examples is of rank 8; steps of Adam are of full rank."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(96, 128), torch.nn.GELU(), torch.nn.Linear(128, 96))
    before = net[0].weight.detach().numpy().copy()
    optimizer = torch.optim.SGD if sharp else torch.optim.Adam
    stepping = optimizer(net.parameters(), 0.1 if sharp else 1e-3)
    for _ in range(1 if sharp else 20):
        x = torch.randn(8 if sharp else 64, 96)
        stepping.zero_grad()
        ((net(x) - x.flip(1)) ** 2).mean().backward()
        stepping.step()
    found = rank_of(net[0].weight.detach().numpy() - before)
    assert found.rank == (8 if sharp else None)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 40),
    columns=st.integers(0, 40),
    rank=st.integers(0, 8),
    exponent=st.integers(-130, 120),
    wide=st.booleans(),
    seed=st.integers(0, 9),
)
def test_singular_values_are_numpys(
    rows: int, columns: int, rank: int, exponent: int, wide: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    change = generator.standard_normal((rows, rank)) @ generator.standard_normal((rank, columns))
    change = np.ldexp(change, exponent).astype("f8" if wide else "f4")
    found = rank_of(change)
    assert found.exact
    if not change.any():
        assert (found.top, found.energy, found.rank, found.error) == ((), (), 0, 0)
        return
    assert_told_right(found, change)
    if wide and rank <= min(rows, columns) // 4:
        assert found.rank == rank


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(40, 300),
    columns=st.integers(40, 300),
    power=st.sampled_from([0.0, 0.3, 0.7, 1.5, 4.0]),
    held=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_sketch_is_within_the_error_that_it_states(
    rows: int, columns: int, power: float, held: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    change = generator.standard_normal((rows, columns))
    left, values, right = np.linalg.svd(change, full_matrices=False)
    change = ((left * values * np.arange(1.0, len(values) + 1) ** -power) @ right).astype("f4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketch, "EXACT", 8)
        if not held:
            patch.setattr(sketch, "HELD", 0)
        found = rank_of(change, most=8)
    assert not found.exact
    assert found.top
    assert_told_right(found, change)


class Reads:
    """Gives rows of a change, and counts how often each was asked for."""

    def __init__(self, change: np.ndarray) -> None:
        self.change = change
        self.count = np.zeros(len(change), int)

    def __call__(self, start: int, stop: int) -> np.ndarray:
        assert 0 <= start < stop <= len(self.change)
        self.count[start:stop] += 1
        return self.change[start:stop]


@pytest.mark.parametrize(
    ("columns", "rank", "held", "passes"),
    [(600, 4, True, 1), (600, 4, False, 3), (600, 120, False, 5), (300, 4, False, 2)],
)
def test_passes_are_few(
    monkeypatch: pytest.MonkeyPatch, columns: int, rank: int, held: bool, passes: int
) -> None:
    if not held:
        monkeypatch.setattr(sketch, "HELD", 0)
    reads = Reads(merged((700, columns), rank, 0.05, dtype="bf16"))
    found = change_rank(700, columns, reads)
    assert found.rank == rank
    assert set(reads.count) == {passes}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of 80 MB that is made row by row takes a fraction of that."""
    left = np.random.default_rng(0).standard_normal((20_000, 2), "f4")
    right = np.random.default_rng(1).standard_normal((2, 1000), "f4")

    def read(start: int, stop: int) -> np.ndarray:
        made: np.ndarray = left[start:stop] @ right
        return made

    tracemalloc.start()
    found = change_rank(20_000, 1000, read)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.rank == 2
    assert peak < 50e6


def test_the_same_change_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    change = merged((530, 600), 4, 0.02, dtype="bf16", kind="heavy")
    assert rank_of(change) == rank_of(change)
    assert rank_of(change).rank == rank_of(change, seed=1).rank == 4
    monkeypatch.setattr(sketch, "HELD", 0)
    assert rank_of(change).top[:4] == pytest.approx(rank_of(change.T).top[:4], rel=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("columns", [30, 600])
@pytest.mark.parametrize("held", [True, False])
def test_what_is_not_finite_is_refused(
    monkeypatch: pytest.MonkeyPatch, bad: float, columns: int, held: bool
) -> None:
    if not held:
        monkeypatch.setattr(sketch, "HELD", 0)
    change = np.ones((600, columns), "f4")
    change[599, 7] = bad
    with pytest.raises(ValueError, match="not finite"):
        rank_of(change)


def test_nothing_changed_nothing_told() -> None:
    for shape in ((0, 5), (5, 0), (3, 4), (600, 700)):
        found = rank_of(np.zeros(shape, "f4"))
        assert (found.rank, found.top, found.norm, found.share(3)) == (0, (), 0, 0)
