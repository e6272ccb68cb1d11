"""What several views of one storage touch together, held against counting every byte."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import weigh
from test_live_counts import touched


def over(views: list[torch.Tensor]) -> weigh.Network:
    module = nn.Module()
    for i, view in enumerate(views):
        module.register_parameter(f"p{i}", nn.Parameter(view))
    return weigh.open(module)


def assert_exact(views: list[torch.Tensor]) -> None:
    counts = over(views).counts
    bytes_touched = len(touched(views))
    assert counts.bytes == bytes_touched
    assert counts.unique_storage == bytes_touched // 4
    assert not counts.at_most


def test_interleaved_rows_and_columns() -> None:
    base = torch.randn(6, 6)
    assert_exact([base[::2], base[::3]])
    assert_exact([base[:, 0], base[0]])
    assert_exact([base[::2, ::2], base[1::2], base[:, 3:5]])
    assert_exact([base[::2], base])
    assert_exact([base.unfold(0, 3, 2), base[:, ::5]])


slices = st.builds(slice, st.integers(0, 5), st.integers(0, 8), st.integers(1, 4))


@given(st.lists(st.tuples(slices, slices, slices, st.booleans()), min_size=1, max_size=4))
def test_any_views_of_one_storage(drawn: list[tuple[slice, slice, slice, bool]]) -> None:
    base = torch.zeros(5, 6, 7)
    views = [base[a, b, c] for a, b, c, _ in drawn]
    views = [v.permute(2, 0, 1) if t[3] else v for v, t in zip(views, drawn, strict=True)]
    assert_exact([view for view in views if view.numel()] or [base])


def test_more_gaps_than_are_worth_counting_give_a_labelled_bound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = torch.zeros(200_000)
    network = over([base[::2], base[::3]])
    counts = network.counts
    assert counts.at_most
    assert 200_000 * 2 // 3 <= counts.unique_storage <= 100_000 + 66_667
    weigh.show(network)
    assert f"at most {counts.unique_storage:,}" in capsys.readouterr().out
