"""Rules on channels, normalisations and rows of look-up tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import weigh


def check(source: Any, *rules: str) -> weigh.CheckReport:
    return weigh.check(source, select=rules)


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_dead_filters_are_told_by_number_and_norm(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 32, 5)
    with torch.no_grad():
        conv.weight[[4, 9]] *= 1e-4
        conv.weight[20] = 0
    conv = conv.to(kind)
    [finding] = check(conv, "dead-filter")
    norms = conv.weight.detach().double().flatten(1).norm(dim=1).numpy()
    assert finding.evidence["channels"] == [4, 9, 20]
    assert finding.evidence["of"] == 32
    assert finding.evidence["largest_norm"] == pytest.approx(norms[[4, 9, 20]].max())
    alive = norms[norms > 1e-6 * norms.max()]
    assert finding.evidence["median_norm"] == pytest.approx(np.median(alive))


def test_the_channels_of_other_layouts_are_the_outputs() -> None:
    torch.manual_seed(0)
    transposed = nn.ConvTranspose2d(6, 12, 3)
    with torch.no_grad():
        transposed.weight[:, 7] = 0
    [finding] = check(transposed, "dead-filter")
    assert finding.evidence["channels"] == [7]


def test_more_than_half_may_be_dead() -> None:
    weight = seeded().normal(size=(16, 20))
    weight[:12] = 0
    [finding] = check({"fc.weight": weight}, "dead-filter")
    assert finding.evidence["count"] == 12


def test_a_normalisation_has_the_last_word() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    with torch.no_grad():
        net[0].weight[2] *= 1e-5
        net[1].running_var.copy_(torch.full((8,), 0.2))
    # It saw a variance of 0.2, so something made the channel large again.
    assert not check(net, "dead-filter").findings
    with torch.no_grad():
        net[1].running_var[2] = 1e-12
    [finding] = check(net, "dead-filter")
    assert finding.evidence["norm"] == "1"
    assert finding.evidence["running_var"] == [pytest.approx(1e-12)]
    # The same from a file that is sorted by name.
    named = {f"conv1.{n}": t for n, t in net[0].state_dict().items()}
    named |= {f"bn1.{n}": t for n, t in net[1].state_dict().items()}
    [from_file] = check(named, "dead-filter")
    assert from_file.evidence["norm"] == "bn1"


def test_inputs_that_are_ignored_are_an_info() -> None:
    weight = seeded().normal(size=(200, 30))
    weight[:, [3, 8]] *= 1e-6
    weight[150, 8] = 1  # one output listens to it
    [finding] = check({"fc.weight": weight}, "dead-filter")
    assert (finding.severity, finding.evidence["inputs"]) == ("info", [3])
    norms = np.linalg.norm(weight, axis=0)
    assert finding.evidence["largest_norm"] == pytest.approx(norms[3])


def test_computed_weights_and_healthy_layers_are_left_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 32, 5), nn.Linear(20, 30), nn.LSTM(4, 5), nn.Embedding(9, 8))
    rules = ("dead-filter", "duplicate-filter", "zeroed-norm", "stale-buffer", "untrained-rows")
    assert not check(net, *rules).findings
    basis = seeded().normal(size=(8, 1, 16))
    basis[0] = 0
    assert not check(
        {"stft.forward_basis.weight": basis, "stft_conv.weight": basis}, *rules
    ).findings


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_copies_of_filters_are_told_in_groups(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    weight = torch.randn(40, 3, 5, 5)
    weight[11] = weight[30] = weight[2].clone()
    weight[21] = weight[20].clone()
    weight[5] = -weight[6]  # of one norm, but no copy
    [finding] = check({"conv.weight": weight.to(kind)}, "duplicate-filter")
    assert finding.evidence["groups"] == [[2, 11, 30], [20, 21]]
    assert (finding.evidence["count"], finding.evidence["needless"]) == (5, 3)


def test_few_values_are_equal_by_chance() -> None:
    torch.manual_seed(0)
    depthwise = nn.Conv2d(512, 512, 1, groups=512, bias=False).to(torch.float8_e5m2)
    assert not check({"conv.weight": depthwise.weight.detach()}, "duplicate-filter").findings


def test_a_filter_that_is_the_same_everywhere_is_meant() -> None:
    weight = np.tile(seeded().normal(size=(1, 1, 4, 4)), (16, 1, 1, 1))
    [finding] = check({"conv.weight": weight}, "duplicate-filter")
    assert finding.severity == "info"


def test_scales_of_zero() -> None:
    scale = seeded().uniform(0.5, 1.5, 64)
    scale[[3, 40]] = 0, 4.8e-33
    norm = {"norm.weight": scale, "norm.bias": np.zeros(64)}
    [finding] = check(norm, "zeroed-norm")
    assert finding.evidence["channels"] == [3, 40]
    assert finding.evidence["median"] == pytest.approx(np.median(scale))
    all_zero = check({"norm.weight": np.zeros(64), "norm.bias": np.zeros(64)}, "zeroed-norm")
    assert (all_zero.findings, len(all_zero.unsure)) == ((), 1)
    scale[:40] = 0
    half = check({"norm.weight": scale, "norm.bias": np.zeros(64)}, "zeroed-norm")
    assert (half.findings, len(half.unsure)) == ((), 1)


def test_statistics_that_were_never_gathered() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.BatchNorm2d(8, affine=False))
    assert not check(net, "stale-buffer").findings  # all is new
    nn.init.normal_(net[1].weight)
    assert [finding.where for finding in check(net, "stale-buffer")] == ["1"]
    net(torch.randn(2, 3, 8, 8))
    assert not check(net, "stale-buffer").findings
    net[2].reset_running_stats()
    assert [finding.where for finding in check(net, "stale-buffer")] == ["2"]
    net(torch.randn(2, 3, 8, 8))
    net[1].num_batches_tracked.zero_()
    [finding] = check(net, "stale-buffer")
    assert (finding.severity, finding.evidence) == ("info", {"num_batches_tracked": 0})


def test_rows_that_no_example_had_keep_the_generators_numbers() -> None:
    torch.manual_seed(0)
    table, head = nn.Embedding(2000, 64), nn.Linear(64, 10)
    step = torch.optim.SGD([*table.parameters(), *head.parameters()], lr=0.5)
    before = table.weight.detach().clone()
    for _ in range(30):
        step.zero_grad()
        scores = head(table(torch.randint(0, 1200, (64,))))
        nn.functional.cross_entropy(scores, torch.randint(0, 10, (64,))).backward()
        step.step()
    [finding] = check(table, "untrained-rows")
    still = (before == table.weight).all(1).nonzero().flatten().tolist()
    assert finding.evidence["how"] == "marks"
    # A row of 64 values has 32 pairs: a few moved too little to be told, or by their size alone.
    assert abs(int(str(finding.evidence["count"])) - len(still)) <= 0.02 * len(still)
    assert finding.evidence["runs"][-1][1] == 1999  # type: ignore[index]


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_one_norm_apart_from_the_rest(seed: int) -> None:
    rng = seeded(seed)
    table = rng.normal(size=(5000, 96)) * np.exp(0.2 * rng.normal(size=(5000, 1)))
    assert not check({"emb.weight": table.astype(np.float16)}, "untrained-rows").findings
    table[100:400] = rng.normal(0, 0.3, (300, 96))
    [finding] = check({"emb.weight": table.astype(np.float16)}, "untrained-rows")
    assert finding.evidence["how"] == "norm"
    assert 290 <= finding.evidence["count"] <= 330  # type: ignore[operator]
    norm = np.median(np.linalg.norm(table[100:400], axis=1))
    assert finding.evidence["norm"] == pytest.approx(norm, rel=0.01)


def test_rows_of_zeros_and_tables_without_any() -> None:
    table = seeded().normal(size=(400, 20))
    table[350:] = 0
    [finding] = check({"emb.weight": table}, "untrained-rows")
    assert finding.evidence["how"] == "zero"
    assert finding.evidence["runs"] == [[350, 399]]
    assert not check(nn.Embedding(400, 20), "untrained-rows").findings
    unit = table[:350] / np.linalg.norm(table[:350], axis=1, keepdims=True)
    assert not check({"emb.weight": unit}, "untrained-rows").findings


def test_rows_that_a_lora_has_not_moved_are_not_dead() -> None:
    weight = seeded().normal(size=(16, 4))
    weight[[3, 8]] = 0
    [finding] = check({"fc.lora_B.weight": weight}, "dead-filter")
    assert (finding.severity, finding.evidence["channels"]) == ("info", [3, 8])
    assert "dead" not in finding.message
    assert check({"fc.weight": weight}, "dead-filter").worst == "warning"


def test_what_overflowed_is_no_copy_and_warns_of_nothing() -> None:
    weight = seeded().normal(size=(16, 3, 5, 5))
    weight[2:6] = np.inf
    weight[2, 0, 0, 0], weight[3, 0, 0, 0] = 1, 2
    weight[4, 0, 0, 0], weight[5, 0, 0, 0] = 3, 4
    assert not check({"conv.weight": weight}, "duplicate-filter", "dead-filter").findings


def test_rows_of_any_bits_are_looked_at_without_a_warning() -> None:
    rows = seeded().integers(0, 1 << 32, (64, 32), np.uint32).view(np.float32)
    assert np.isnan(rows).any()
    assert not check({"embed.weight": rows}, "untrained-rows").findings


def test_a_count_of_batches_that_was_lost_is_told_with_a_reason_of_its_own() -> None:
    norm = nn.BatchNorm1d(8)
    norm.train()(torch.randn(64, 8) + 3)
    norm.num_batches_tracked.zero_()
    [finding] = check(norm, "stale-buffer")
    assert finding.severity == "info"
    assert "does not normalise" not in finding.why


def test_a_count_of_batches_that_is_no_number() -> None:
    state = {"bn.running_mean": np.full(3, 2.0), "bn.running_var": np.full(3, 2.0)}
    for odd in (np.nan, np.inf):
        assert not check(state | {"bn.num_batches_tracked": np.array(odd)}, "stale-buffer").findings


def test_a_lazy_normalisation_has_no_statistics_yet() -> None:
    assert not check(nn.LazyBatchNorm1d(), "stale-buffer").findings


def test_more_copies_than_are_read_are_found_all_the_same() -> None:
    weight = seeded().normal(size=(10_000, 20))
    weight[5000:] = weight[0]
    [finding] = check({"fc.weight": weight}, "duplicate-filter")
    assert finding.message.startswith("at least 2,000 of 10,000 outputs are copies")
    [finding] = check({"fc.weight": weight[:6000]}, "duplicate-filter")
    assert finding.message.startswith("1,001 of 6,000 outputs are copies")
