"""Folders laid out as Megatron lays them, whose files PyTorch wrote."""

from __future__ import annotations

import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp

import weigh
from weigh._errors import SourceError

STATE = {"embedding.word_embeddings.weight": torch.arange(12.0).reshape(4, 3)}


def write(folder: Path, *ranks: str) -> Path:
    for rank in ranks:
        place = folder / "iter_0000010" / rank
        place.mkdir(parents=True)
        saved = {"args": Namespace(num_layers=1), "iteration": 10, "model": STATE}
        torch.save(saved, place / "model_optim_rng.pt")
    (folder / "latest_checkpointed_iteration.txt").write_text("10")
    return folder


def refused(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        weigh.open(path)
    return str(caught.value)


def test_one_rank(tmp_path: Path) -> None:
    net = weigh.open(write(tmp_path, "mp_rank_00"))
    assert (net.format, net.metadata["iteration"]) == ("megatron", "10")
    for name, tensor in STATE.items():
        np.testing.assert_array_equal(net[name].read(), tensor.numpy())


def test_a_distributed_checkpoint(tmp_path: Path) -> None:
    place = tmp_path / "iter_0000010"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that there is no process group
        dcp.save({**STATE}, checkpoint_id=place)
    torch.save({"iteration": 10}, place / "common.pt")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("10\n")
    net = weigh.open(tmp_path)
    assert net.format == "megatron"
    for name, tensor in STATE.items():
        np.testing.assert_array_equal(net[name].read(), tensor.numpy())


def test_several_ranks_are_not_put_together_yet(tmp_path: Path) -> None:
    said = refused(write(tmp_path, "mp_rank_00", "mp_rank_01"))
    assert "of Megatron are not put together yet; saw 2 parts." in said


@pytest.mark.parametrize(
    ("text", "message"),
    [("../x", "names no iteration"), ("", "names no iteration"), ("11", "there is no such folder"),
     ("٣", "names no iteration"), ("release", "there is no such folder")],
)  # fmt: skip
def test_a_name_of_no_iteration(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "mp_rank_00")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text(text, "utf-8")
    assert message in refused(tmp_path)


def test_an_iteration_without_a_model(tmp_path: Path) -> None:
    write(tmp_path, "mp_rank_00")
    (tmp_path / "iter_0000010/mp_rank_00/model_optim_rng.pt").unlink()
    assert "the iteration has no file of a model" in refused(tmp_path)


def test_folders_within_are_named(tmp_path: Path) -> None:
    write(tmp_path, "mp_rank_00")
    said = refused(tmp_path / "iter_0000010")
    assert said.endswith("saw no file. Name a file, or one of the folders in it: mp_rank_00.")
