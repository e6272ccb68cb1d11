"""A merged LoRA is told, with its rank, from files of every dtype; a fine-tune is not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import weigh

DTYPES = ("float32", "bfloat16", "float16")


def base(size: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = {"embed.weight": torch.randn(500, size) * 0.02}
    for layer in range(2):
        for leaf in ("q_proj", "v_proj", "o_proj"):
            made[f"layers.{layer}.attn.{leaf}.weight"] = torch.randn(size, size) * 0.02
    return made


def merged(weights: dict[str, torch.Tensor], rank: int) -> dict[str, torch.Tensor]:
    """Merge an adapter into the projections of queries and values, as peft does."""
    torch.manual_seed(1)
    made = dict(weights)
    for name, weight in weights.items():
        if "q_proj" in name or "v_proj" in name:
            rows, columns = weight.shape
            up, down = torch.randn(rows, rank) * 0.02, torch.randn(rank, columns) * 0.02
            made[name] = weight + 2 * up @ down
    return made


def compared(a: dict, b: dict, dtype: str, folder: Path) -> weigh.DiffReport:
    paths = folder / "a.safetensors", folder / "b.safetensors"
    for path, weights in zip(paths, (a, b), strict=True):
        save_file({n: w.to(getattr(torch, dtype)) for n, w in weights.items()}, path)
    return weigh.diff(*paths)


@pytest.mark.parametrize("rank", [1, 4, 16, 64])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_merged_adapter_is_told_with_its_rank(rank: int, dtype: str, tmp_path: Path) -> None:
    a = {n: w.to(getattr(torch, dtype)).float() for n, w in base(512).items()}
    b = merged(a, rank)
    report = compared(a, b, dtype, tmp_path)
    changed = report.of("changed")
    assert len(changed) == 4
    assert [change.rank.rank for change in changed] == [rank] * 4
    told = {conclusion.kind: conclusion for conclusion in report.story}
    assert set(told) == {"only some layers", "low rank"}
    assert told["low rank"].evidence["rank"] == rank
    assert "q_proj (2 times), v_proj (2 times)" in told["low rank"].text
    if dtype != "float32":  # what a plain count of singular values says
        name = changed[0].name
        d = (b[name].to(getattr(torch, dtype)).float() - a[name]).numpy()
        assert np.linalg.matrix_rank(d) > 300


def test_a_full_fine_tune_is_no_low_rank_update(tmp_path: Path) -> None:
    a = base(256)
    torch.manual_seed(2)
    b = {name: w + torch.randn_like(w) * 0.0005 for name, w in a.items()}
    report = compared(a, b, "bfloat16", tmp_path)
    assert [conclusion.kind for conclusion in report.story] == ["fine-tuned"]
    assert {change.rank.rank for change in report.of("changed")} == {None}


def test_the_stated_singular_values_are_numpys(tmp_path: Path) -> None:
    a = base(700)
    b = merged(a, 8)
    change = compared(a, b, "float32", tmp_path)["layers.0.attn.q_proj.weight"]
    assert change.rank is not None
    d = (b[change.name] - a[change.name]).double().numpy()
    exact = np.linalg.svd(d, compute_uv=False)
    top = np.array(change.rank.top[:8])
    assert np.abs(top / exact[:8] - 1).max() <= max(change.rank.error, 1e-6)
    share = (exact[:8] ** 2).sum() / (exact**2).sum()
    assert change.rank.share(8) == pytest.approx(share, rel=1e-4)


def test_ranks_are_left_out_on_demand() -> None:
    a = base(64)
    report = weigh.diff(a, merged(a, 2), rank=False)
    assert {change.rank for change in report} == {None}
    assert "low rank" not in [conclusion.kind for conclusion in report.story]
