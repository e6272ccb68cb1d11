"""DeepSpeed's checkpoints: whole networks, and those that ZeRO's third stage cut up."""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import weigh
from deepspeed_written import NAMES, cut, write
from weigh._dtypes import DTYPES
from weigh._errors import SourceError
from weigh._index import Region
from weigh._sources.bytes import MemoryBytes
from weigh._sources.stored import StoredValues
from weigh._sources.zero import FlatVectors, GatheredValues

TRAINED = {
    "emb.weight": torch.randn(11, 6, generator=torch.Generator().manual_seed(0)),
    "fc.weight": torch.randn(5, 6, generator=torch.Generator().manual_seed(1)),
    "fc.bias": torch.arange(5.0),
    "scale": torch.tensor(3.0),
}


def refused(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        weigh.open(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("group", [1, 20, 1000])
def test_parts_are_put_together(tmp_path: Path, world: int, group: int) -> None:
    net = weigh.open(write(tmp_path / "step", TRAINED, world=world, group=group))
    assert (net.format, {t.name for t in net.tensors()}) == ("deepspeed", set(TRAINED))
    for name, tensor in TRAINED.items():
        np.testing.assert_array_equal(net[name].read(), tensor.numpy(), strict=True)
        assert (net[name].role, net[name].learnable) == ("parameter", True)
    assert net.metadata == {"global_steps": "7", "ds_version": "0.19.8"}
    assert net.notes[0] == f"The parts of {world} processes are put together."


def stored(vector: torch.Tensor) -> StoredValues:
    data = MemoryBytes(vector.numpy().tobytes())
    return StoredValues(data, 0, DTYPES["float32"], tuple(vector.shape))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_region_of_any_cutting(data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1))
    world = data.draw(st.integers(1, 5))
    arrays = [torch.arange(float(a * b)).reshape(a, b) for a, b in shapes]
    parts = [[cut(array, world)[rank] for array in arrays] for rank in range(world)]
    length = sum(len(part) for part in parts[0])
    cuts = sorted({0, length, *data.draw(st.lists(st.integers(0, length), max_size=4))})
    if len(cuts) < 2:
        cuts = [0, 0]
    vectors = [[torch.cat(rank)[a:b].clone() for a, b in pairwise(cuts)] for rank in parts]
    flat = FlatVectors([[stored(one) for one in rank] for rank in vectors])
    start = 0
    for array in arrays:
        values = GatheredValues(flat, start, tuple(array.shape), "w")
        start += flat.part(array.numel())
        index = tuple(
            data.draw(st.one_of(st.integers(0, n - 1), st.slices(n)) if n else st.just(slice(None)))
            for n in array.shape
        )
        if all(isinstance(i, int) or (i.step or 1) > 0 for i in index):
            region = Region.of(index, tuple(array.shape))
            np.testing.assert_array_equal(values.read(region), array.numpy()[index])


@pytest.mark.parametrize("file", NAMES)
def test_one_process_alone_says_so(tmp_path: Path, file: str) -> None:
    net = weigh.open(write(tmp_path, TRAINED) / file.format(0))
    assert "It is what one process of several held: name the folder that it lies in." in net.notes


def test_frozen_shared_and_buffers(tmp_path: Path) -> None:
    frozen = {"norm.weight": torch.arange(7.0).to(torch.bfloat16)}
    buffers = {"norm.count": torch.tensor(4)}
    step = write(
        tmp_path, TRAINED, frozen=frozen, buffers=buffers, shared={"head.weight": "emb.weight"}
    )
    net = weigh.open(step)
    assert net["head.weight"].tied_to == "emb.weight"
    assert net["norm.count"].role == "buffer"
    assert (net["norm.weight"].learnable, str(net["norm.weight"].dtype)) == (False, "bfloat16")
    np.testing.assert_array_equal(net["norm.weight"].read(), np.arange(7))
    assert net.counts.parameters == sum(t.numel() for t in TRAINED.values()) + 7


def test_the_optimizers_moments_are_put_together(tmp_path: Path) -> None:
    moments = {"exp_avg": {n: t + 1 for n, t in TRAINED.items()}, "exp_avg_sq": TRAINED}
    net = weigh.open(write(tmp_path, TRAINED, world=3, group=9, moments=moments))
    for key, tensors in moments.items():
        for name, tensor in tensors.items():
            found = net[f"optimizer.{name}.{key}"]
            assert found.role == "optimizer"
            np.testing.assert_array_equal(found.read(), tensor.numpy())
    assert net.counts.parameters == sum(t.numel() for t in TRAINED.values())
    accounts = net.accounts
    assert accounts is not None
    assert accounts.total == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert accounts.tensors == 3 * 4 * sum(t.numel() for t in TRAINED.values())


def test_the_folder_around_and_its_config(tmp_path: Path) -> None:
    write(tmp_path / "global_step7", TRAINED)
    (tmp_path / "latest").write_text("global_step7\n")
    (tmp_path / "zero_to_fp32.py").write_text("raise SystemExit('was run')")
    (tmp_path / "training_args.bin").touch()
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["Tiny"], "heads": 2}))
    net = weigh.open(tmp_path)
    assert (net.kind, net.heads, net.format) == ("Tiny", 2, "deepspeed")
    np.testing.assert_array_equal(net["fc.bias"].read(), np.arange(5))


def whole(folder: Path) -> Path:
    """Write a checkpoint of the second stage."""
    folder.mkdir(parents=True)
    model = {
        "module": OrderedDict(TRAINED | {"running": torch.ones(2)}),
        "buffer_names": ["running"],
        "param_shapes": [OrderedDict((n, TRAINED[n].shape) for n in ("emb.weight", "fc.weight"))],
        "frozen_param_shapes": OrderedDict((n, TRAINED[n].shape) for n in ("fc.bias", "scale")),
        "shared_params": {},
    }
    torch.save(model, folder / "mp_rank_00_model_states.pt")
    (folder / NAMES[1].format(0)).write_bytes(b"not looked at")
    return folder


def test_a_whole_network(tmp_path: Path) -> None:
    net = weigh.open(whole(tmp_path / "step"))
    assert net["running"].role == "buffer"
    assert [t.name for t in net.tensors() if t.learnable] == ["emb.weight", "fc.weight"]
    frozen = [t.name for t in net.tensors() if t.role == "parameter" and not t.learnable]
    assert frozen == ["scale", "fc.bias"]
    np.testing.assert_array_equal(net["fc.weight"].read(), TRAINED["fc.weight"].numpy())
    assert "The optimizer's state, in 1 other files, is not shown." in net.notes


def test_weights_that_were_put_together_come_first(tmp_path: Path) -> None:
    (tmp_path / "latest").write_text("global_step7")
    whole(tmp_path / "global_step7")
    torch.save({"w": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    assert [t.name for t in weigh.open(tmp_path).tensors()] == ["w"]


def test_what_else_is_called_latest(tmp_path: Path) -> None:
    (tmp_path / "latest").write_text("v7")
    assert "names a step that is not here; saw 'v7'" in refused(tmp_path)
    (tmp_path / "latest").write_text("../elsewhere")
    assert "a file's name leads out of its folder" in refused(tmp_path)
    (tmp_path / "latest").write_text("v7")
    torch.save({"w": torch.ones(2)}, tmp_path / "any.pt")
    assert weigh.open(tmp_path).counts.parameters == 2


@pytest.mark.parametrize(
    "name",
    [
        "mp_rank_01_model_states.pt",
        "layer_00-model_states.pt",
        "layer_0_expert_0_mp_rank_00_model_states.pt",
    ],
)
def test_what_is_not_put_together_yet(tmp_path: Path, name: str) -> None:
    step = whole(tmp_path / "step")
    shutil.copy(step / "mp_rank_00_model_states.pt", step / name)
    assert "are not put together yet" in refused(step)


def spoiled(folder: Path, file: int, change: Callable[[Any], None], **options: Any) -> str:
    write(folder, TRAINED, **options)
    path = folder / NAMES[file].format(0)
    state = torch.load(path, weights_only=False)
    change(state)
    torch.save(state, path)
    return refused(folder)


def optimizer(**changes: Any) -> Callable[[Any], None]:
    return lambda state: state["optimizer_state_dict"].update(changes)


def shapes(**changes: Any) -> Callable[[Any], None]:
    return lambda state: state.update(param_shapes=[changes])


HOSTILE: dict[str, tuple[int, Callable[[Any], None], str]] = {
    "other count": (1, optimizer(partition_count=3), "another number of processes; saw 3 where 2"),
    "no groups": (1, optimizer(fp32_flat_groups=[]), "it has no list of partitions"),
    "no tensors": (1, optimizer(fp32_flat_groups=[1]), "it has no list of partitions"),
    "short": (1, optimizer(fp32_flat_groups=[torch.ones(3)]), "plain vectors of the same sizes"),
    "other type": (
        1,
        optimizer(fp32_flat_groups=[torch.ones(52, dtype=torch.float64)]),
        "plain vectors of the same sizes",
    ),
    "strided": (
        1,
        optimizer(fp32_flat_groups=[torch.ones(104)[::2]]),
        "plain vectors of the same sizes",
    ),
    "larger": (0, shapes(w=torch.Size([500])), "hold fewer values than the parameters need"),
    "smaller": (0, shapes(w=torch.Size([5])), "hold more values than the parameters need"),
    "huge": (0, shapes(w=(1 << 40, 1 << 40)), "more values than 64 bits can count"),
    "negative": (0, shapes(w=(-4,)), "size along an axis is negative"),
    "no shape": (0, shapes(w="x"), "sizes or strides are no tuple"),
    "twice": (
        0,
        lambda state: state.update(param_shapes=[{"w": (1,)}, {"w": (1,)}]),
        "a parameter is in two groups",
    ),
    "no frozen part": (
        0,
        lambda state: state.update(frozen_param_shapes={"f": (2,)}),
        "a part of the frozen parameter 'f' is missing",
    ),
}


@pytest.mark.parametrize(("file", "change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_files_that_lie_are_one_line(
    tmp_path: Path, file: int, change: Callable[[Any], None], message: str
) -> None:
    assert message in spoiled(tmp_path, file, change, group=1000)


def test_a_frozen_part_of_another_size(tmp_path: Path) -> None:
    def change(state: Any) -> None:
        state["frozen_param_shapes"]["f"] = (9,)

    said = spoiled(tmp_path, 0, change, frozen={"f": torch.ones(4)})
    assert "'f' has another size than its parts" in said


@pytest.mark.parametrize("file", NAMES)
def test_a_missing_process(tmp_path: Path, file: str) -> None:
    write(tmp_path, TRAINED, world=3)
    (tmp_path / file.format(1)).unlink()
    assert "the file of process 1 is missing; saw 2 files of" in refused(tmp_path)
    (tmp_path / file.format(2)).unlink()
    assert "process" in refused(tmp_path)


def test_two_checkpoints_in_one_folder(tmp_path: Path) -> None:
    write(tmp_path, TRAINED)
    shutil.copy(tmp_path / NAMES[1].format(0), tmp_path / f"bf16_{NAMES[1].format(0)}")
    assert "two files are of process 0" in refused(tmp_path)


def test_an_error_says_which_file(tmp_path: Path) -> None:
    write(tmp_path, TRAINED)
    path = tmp_path / NAMES[1].format(1)
    path.write_bytes(path.read_bytes()[:-30])
    assert NAMES[1].format(1) in refused(tmp_path)
