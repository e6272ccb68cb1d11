"""Tables made by PyTorch's operations are bit for bit those of the compiled part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import weigh
from weigh._measures.device import device_table, numbers_within
from weigh._measures.device_sums import BLOCK
from weigh._measures.refine import exact_ranks
from weigh._measures.table import Table
from weigh._sources.torch_values import TorchValues

KINDS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e4m3fnuz": torch.float8_e4m3fnuz,
    "float8_e5m2": torch.float8_e5m2,
    "float8_e5m2fnuz": torch.float8_e5m2fnuz,
    "float8_e8m0fnu": torch.float8_e8m0fnu,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int16": torch.int16,
    "uint16": torch.uint16,
    "int32": torch.int32,
    "uint32": torch.uint32,
    "int64": torch.int64,
    "uint64": torch.uint64,
    "bool": torch.bool,
}
SIGNED = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def values_of(name: str, count: int) -> torch.Tensor:
    torch.manual_seed(count)
    kind = KINDS[name]
    if name.startswith(("int", "uint")):
        size = torch.tensor([], dtype=kind).element_size()
        least, most = -1 << (8 * size - 1), (1 << (8 * size - 1)) - 1
        made = torch.randint(least, most, (count,), dtype=SIGNED[size])
        made = made >> torch.randint(0, 8 * size, (count,), dtype=SIGNED[size])
        made[: count // 3] = made[: count // 3].abs()
        if count > 5:
            made[torch.tensor([1, count // 2, -1, -2])] = torch.tensor(
                [least, most, 0, -1], dtype=SIGNED[size]
            )
        return made.view(kind)
    if name == "bool":
        return torch.rand(count) > 0.3
    made = torch.randn(count, dtype=torch.float64)
    made[: count // 3] = made[: count // 3].abs() + 3  # blocks of one sign
    if "8" not in name and count > 5:
        made[[1, count // 2, -1]] = torch.tensor([torch.nan, torch.inf, -0.0], dtype=torch.float64)
    return made.to(kind)


def host_table(name: str, values: torch.Tensor) -> Table:
    return Table.of(name, values.reshape(-1).view(torch.uint8).numpy().data)


def assert_same(name: str, values: torch.Tensor, chunk: int = 0) -> None:
    made = device_table(values, name, chunk)
    assert made is not None
    assert made.to_bytes() == host_table(name, values).to_bytes()


@pytest.mark.parametrize("count", [0, 1, 17, BLOCK, 5 * BLOCK + 3])
@pytest.mark.parametrize("name", KINDS)
def test_the_same_bits_as_the_compiled_part(name: str, count: int) -> None:
    values = values_of(name, count)
    for chunk in (BLOCK, 2 * BLOCK, 0):
        assert_same(name, values, chunk)


@pytest.mark.parametrize(
    "values",
    [
        torch.randn(2 * BLOCK, dtype=torch.float64) * 1e250,
        torch.randn(2 * BLOCK, dtype=torch.float64) * 1e-300,
        torch.full((BLOCK + 5,), torch.nan, dtype=torch.float64),
        torch.full((BLOCK + 5,), torch.inf),
        torch.full((BLOCK + 5,), -torch.inf),
        torch.zeros(BLOCK, dtype=torch.float64),
        torch.full((2 * BLOCK,), 7.25, dtype=torch.float64),
        torch.full((2 * BLOCK,), torch.finfo(torch.float32).max),
        torch.full((2 * BLOCK,), torch.finfo(torch.float64).min, dtype=torch.float64),
        torch.rand(2 * BLOCK) * 1e-40,  # subnormal
        torch.cat((torch.full((BLOCK,), torch.nan), torch.ones(BLOCK), torch.tensor([-torch.inf]))),
    ],
)
def test_worst_cases(values: torch.Tensor) -> None:
    assert_same(str(values.dtype).removeprefix("torch."), values, BLOCK)
    assert_same(str(values.dtype).removeprefix("torch."), values)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_the_ends_of_a_range_are_the_same_with_zeros_of_both_signs(name: str) -> None:
    torch.manual_seed(3)
    for count in (2, 40, 3 * BLOCK + 7):
        zeros = torch.where(torch.rand(count) < 0.5, 0.0, -0.0).to(KINDS[name])
        for factor in (0, 1, -1):  # nothing but zeros; zeros at the lower end; at the upper one
            others = factor * torch.rand(count).to(KINDS[name])
            assert_same(name, torch.where(torch.rand(count) < 0.5, zeros, others))


@given(st.binary(max_size=400), st.sampled_from(sorted(KINDS)))
@settings(max_examples=150, deadline=None)
def test_any_bits_at_all(data: bytes, name: str) -> None:
    width = torch.tensor([], dtype=KINDS[name]).element_size()
    data = data[: len(data) // width * width]
    if name == "bool" or not data:
        return
    values = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(KINDS[name])
    assert_same(name, values)


def test_views_and_complex_numbers() -> None:
    turned = torch.randn(300, 200).t()
    assert_same("float32", turned, BLOCK)
    assert_same("float32", turned[::3, 5:100:2])
    assert_same("float32", torch.randn(()))
    assert_same("int16", torch.arange(7, dtype=torch.int16).expand(9000, 7), BLOCK)
    for kind, name in ((torch.complex64, "float32"), (torch.complex128, "float64")):
        pairs = torch.randn(3, BLOCK + 5, dtype=kind)
        for view in (pairs, pairs.conj(), pairs.t(), pairs.conj().t()[::7]):
            made = device_table(view, name, BLOCK)
            assert made == host_table(name, view.resolve_conj())
    negative = torch.randn(500, dtype=torch.complex64).conj().imag
    assert negative.is_neg()
    assert device_table(negative, "float32") == host_table("float32", negative.resolve_neg())


def test_two_values_in_a_byte() -> None:
    data = torch.randint(0, 256, (999,), dtype=torch.uint8)
    pairs = data.view(torch.float4_e2m1fn_x2)
    expected = Table("float4_e2m1fn")
    expected.add(data.numpy().data, 2 * 999)
    assert device_table(pairs, "float4_e2m1fn") == expected


def test_only_numbers_in_question_are_brought_over() -> None:
    for name in ("float32", "float64", "int32", "uint64"):
        values = values_of(name, 3 * BLOCK + 5)
        table = host_table(name, values)
        count, nan, posinf, neginf, *_ = table.summary()
        finite, wanted = count - nan - posinf - neginf, (0.0, 0.1, 0.5, 0.999, 1.0)
        raw = values.view(torch.uint8).numpy()
        brought = []

        def within(
            ranges: object, values: torch.Tensor = values, name: str = name
        ) -> Iterator[tuple[memoryview, int]]:
            for buffer, number in numbers_within(values, name, ranges, BLOCK):  # type: ignore[arg-type]
                brought.append(number)  # noqa: B023
                yield buffer, number

        def again(raw: object = raw, count: int = count) -> list[tuple[memoryview, int]]:
            return [(raw.data, count)]  # type: ignore[attr-defined]

        expected = exact_ranks(table, finite, wanted, again)
        assert exact_ranks(table, finite, wanted, again, within) == expected
        assert 0 < sum(brought) < count / 2


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Let values say that they lie on another device; where there is none, that is the way."""
    asked: list[torch.Tensor] = []
    real = TorchValues.on_device

    @contextmanager
    def on_device(values: TorchValues) -> Iterator[torch.Tensor]:
        asked.append(values._tensor)
        with real(values), torch.no_grad():
            yield values._tensor.detach()

    monkeypatch.setattr(TorchValues, "on_device", on_device)
    return asked


@pytest.mark.parametrize("exact", [False, True])
def test_a_tensor_of_another_device_is_measured_there(
    elsewhere: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch, *, exact: bool
) -> None:
    module = torch.nn.Linear(300, 400, bias=False)
    expected = weigh.stats(dict(module.state_dict()), exact=exact)
    elsewhere.clear()
    monkeypatch.setattr(TorchValues, "raw", lambda *_: None)
    monkeypatch.setattr(TorchValues, "read", None)  # nothing is copied
    done: list[int] = []
    state = torch.get_rng_state()
    found = weigh.stats(module, exact=exact, progress=done.append)
    assert [row.statistics for row in found] == [row.statistics for row in expected]
    assert len(elsewhere) == 1
    assert sum(done) == 4 * 300 * 400
    assert torch.equal(torch.get_rng_state(), state)
    assert all(each.grad is None and each.requires_grad for each in module.parameters())


def test_what_a_device_lacks_is_brought_over(
    elsewhere: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise NotImplementedError("no such operation")

    module = torch.nn.Linear(300, 400, bias=False)
    expected = weigh.stats(dict(module.state_dict()))
    elsewhere.clear()
    monkeypatch.setattr(torch, "bincount", lacking)
    assert weigh.stats(module).total == expected.total
    assert len(elsewhere) == 1


def test_few_values_are_brought_over(elsewhere: list[torch.Tensor]) -> None:
    weigh.stats(torch.nn.Linear(30, 40))
    assert not elsewhere


def test_modes_of_the_callers_see_nothing(elsewhere: list[torch.Tensor]) -> None:
    seen: list[object] = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            seen.append(func)
            return func(*args, **(kwargs or {}))

    module = torch.nn.Linear(300, 400, bias=False)
    with Watching():
        weigh.stats(module)
    assert elsewhere
    assert not seen


def test_repetition_is_refused_there_too(elsewhere: list[torch.Tensor]) -> None:
    module = torch.nn.Module()
    module.register_buffer("a", torch.ones(1).expand(1 << 40))
    [row] = weigh.stats(module)
    assert "repeat" in row.problem
    assert elsewhere


def test_tensors_in_this_memory_are_not_on_a_device() -> None:
    for tensor in (torch.ones(3), torch.ones(3, device="meta"), torch.ones(3).to_sparse()):
        with TorchValues(tensor).on_device() as there:
            assert there is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu() -> None:  # pragma: no cover - hardware
    for name in KINDS:
        values = values_of(name, 5 * BLOCK + 3)
        found = device_table(values.cuda(), name)
        assert found is not None, name
        assert found.to_bytes() == host_table(name, values).to_bytes(), name
    module = torch.nn.Sequential(torch.nn.Linear(3000, 2000), torch.nn.LayerNorm(2000))
    expected = weigh.stats(module, exact=True)
    module.cuda()
    before = torch.cuda.memory_allocated()
    found_there = weigh.stats(module, exact=True)
    assert [row.statistics for row in found_there] == [row.statistics for row in expected]
    assert torch.cuda.memory_allocated() == before
