"""The error rates of ``never-trained`` are counted rightly; how large they are is not looked at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("mlxtend")
pytest.importorskip("scipy")

from torch import nn  # noqa: E402

from weigh._checks.finding import Finding, Unsure  # noqa: E402
from weigh._checks.report import CheckReport  # noqa: E402
from weigh._checks.settings import Settings  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import never_trained as rates  # noqa: E402
from benchmarks.digit_networks import BUILDERS, train  # noqa: E402
from benchmarks.fresh_layers import KINDS, fresh  # noqa: E402
from benchmarks.verdicts import RULE, Unit, size_of, units, upper, verdict  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from more, and lose much where a machine is shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def a_report(*said: Finding | Unsure) -> CheckReport:
    found = tuple(one for one in said if isinstance(one, Finding))
    unsure = tuple(one for one in said if isinstance(one, Unsure))
    counts = (1, 1, 1, 1, "live", Settings())
    return CheckReport(found, unsure, (RULE,), (), *counts)


def test_a_finding_belongs_to_a_layer_by_its_path_its_tensor_or_the_list() -> None:
    unit = Unit("fc", ("fc.weight", "fc.bias"), "Linear", 6)

    def said(*given: Finding | Unsure) -> tuple[str, str]:
        what, _, tensor = verdict(a_report(*given), unit)
        return what, tensor

    def finding(where: str, **evidence: object) -> Finding:
        return Finding(where, "", evidence, rule=RULE)

    assert said(finding("fc")) == ("detected", "")
    assert said(finding("fc.bias")) == ("detected", "fc.bias")
    assert said(finding("", layers=["conv", "fc"])) == ("detected", "")
    assert said(Unsure("fc", "", RULE)) == ("cannot tell", "")
    assert said(finding("fc2"), finding("", layers=["conv"])) == ("missed", "")
    assert said(Unsure("", "pos_embed is like noise", rule=RULE)) == ("missed", "")
    root = Unit("", ("pos_embed",), "parameter outside a layer", 6)
    assert verdict(a_report(Unsure("", "pos_embed is like noise", RULE)), root)[0] == "cannot tell"
    own = Finding("", "", {"tensors": [{"name": "pos_embed"}]}, rule=RULE)
    assert verdict(a_report(own), root)[0] == "detected"
    assert said(own) == ("missed", "")
    assert said(Finding("fc", "", rule="non-finite"), Unsure("fc", "", "other")) == ("missed", "")


def test_units_are_layers_and_parameters_outside_them() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.attend = nn.MultiheadAttention(4, 2)

    found = {unit.path or unit.names[0]: unit.values for unit in units(Own())}
    assert found == {"scale": 3, "attend": 60, "attend.out_proj": 20}
    assert [unit.path for unit in units(Own(), "attend.out_proj")] == ["attend.out_proj"]


def test_bounds_and_sizes() -> None:
    assert upper(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert upper(3, 3) == 1
    # The 95 % bound is where 5 % of samples hold so few.
    from scipy.stats import binom

    assert binom.cdf(7, 90, upper(7, 90)) == pytest.approx(0.05)
    assert [size_of(n) for n in (1, 5, 6, 49, 50, 999, 1000, 10**5, 10**5 + 1)] == [
        *("1-5", "1-5", "6-49", "6-49", "50-999", "50-999", "1e3-1e5", "1e3-1e5", ">1e5")
    ]


def test_the_fresh_layer_is_fresh_and_the_same_for_a_seed() -> None:
    for index in range(0, len(KINDS), 7):
        one, again = fresh(index, 3), fresh(index, 3)
        assert one.kind == list(KINDS)[index]
        assert list(units(one.network, "fresh"))
        for a, b in zip(one.network.parameters(), again.network.parameters(), strict=True):
            assert torch.equal(a, b)


def test_every_network_learns_and_what_moved_is_known() -> None:
    for index in range(len(BUILDERS)):
        run = train(index, 0)
        now = dict(run.network.named_parameters())
        moved = {
            unit.path: rates.change(unit.names, run.first, now, torch.float32)
            for unit in units(run.network)
        }
        assert any(moved.values()), run.name
        if run.frozen:
            assert moved[run.frozen] == 0


def test_a_change_is_relative_and_seen_in_the_type_of_the_file() -> None:
    first, now = {"w": torch.tensor([3.0, 4.0])}, {"w": torch.tensor([3.0, 4.0005])}
    assert rates.change(("w",), first, now, torch.float32) == pytest.approx(1e-4, rel=1e-3)
    assert rates.change(("w",), first, now, torch.bfloat16) == 0


def test_all_verdicts_are_counted_once(tmp_path: Path) -> None:
    fresh_ones = list(rates.fresh(3, 0, tmp_path))
    untouched_ones = list(rates.untouched(1, 0, tmp_path))
    ones = list(rates.trained(2, 0, tmp_path))
    for some in (fresh_ones, untouched_ones, ones):
        assert len(some) == 6 * len({(one.note, one.unit) for one in some})
        assert {(one.source, one.dtype) for one in some} == {
            (source, dtype) for source in ("live", "file") for dtype in rates.DTYPES
        }
    tables = [one for one in rates.report(fresh_ones, untouched_ones, ones) if hasattr(one, "rows")]
    by_title = {table.title: sum(row[3] for row in table.rows) for table in tables}
    assert by_title["Default initialisation, by number of values"] == len(fresh_ones)
    assert by_title["Networks in which nothing moved"] == len(untouched_ones)
    moved = by_title["Layers that moved, by number of values"]
    assert moved == by_title["By how far they moved"] == by_title["By network"]
    assert moved + by_title["Layers of trained networks that did not move"] == len(ones)
    for table in tables:
        for row in table.rows:
            if len(row) == 8:
                assert sum(row[4:7]) == row[3]
