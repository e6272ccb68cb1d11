"""Checkpoints as DeepSpeed's processes write them, cut up by ZeRO's third stage.

DeepSpeed itself is too large to test with: it compiles its kernels. This layout was held against
what DeepSpeed 0.19.8 wrote with two processes, value by value, weights and moments.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

NAMES = ("zero_pp_rank_{}_mp_rank_00_model_states.pt", "zero_pp_rank_{}_mp_rank_00_optim_states.pt")


def cut(tensor: Tensor, world: int) -> list[Tensor]:
    """Flatten and pad a tensor; give the equal parts that the processes keep."""
    flat = tensor.flatten()
    padded = torch.cat([flat, flat.new_zeros(-len(flat) % world)])
    return list(padded.chunk(world)) if len(padded) else [flat] * world


def write(
    folder: Path,
    trained: dict[str, Tensor],
    *,
    world: int = 2,
    group: int = 50,
    frozen: dict[str, Tensor] | None = None,
    buffers: dict[str, Tensor] | None = None,
    shared: dict[str, str] | None = None,
    moments: dict[str, dict[str, Tensor]] | None = None,
) -> Path:
    """Write the files of a step.

    Args:
        folder: where to.
        trained: the parameters.
        world: how many processes there are.
        group: at most so many values of a process, or one parameter's, are in one vector.
        frozen: parameters that are not trained.
        buffers: what else the network holds.
        shared: names that are another parameter.
        moments: what an optimizer keeps of each parameter, by the name of the sort.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frozen, buffers, shared = frozen or {}, buffers or {}, shared or {}
    groups: list[list[str]] = [[]]
    for name, tensor in trained.items():
        held = sum(len(cut(trained[one], world)[0]) for one in groups[-1])
        if groups[-1] and held + len(cut(tensor, world)[0]) > group:
            groups.append([])
        groups[-1].append(name)

    def vectors(tensors: dict[str, Tensor], rank: int) -> list[Tensor]:
        return [torch.cat([cut(tensors[name], world)[rank] for name in one]) for one in groups]

    module = {name: torch.zeros(0) for name in (*trained, *frozen, *shared)} | buffers
    for rank in range(world):
        model: dict[str, Any] = {
            "module": OrderedDict(module),
            "buffer_names": list(buffers),
            "param_shapes": [OrderedDict((n, trained[n].shape) for n in one) for one in groups],
            "frozen_param_shapes": OrderedDict((n, t.shape) for n, t in frozen.items()),
            "frozen_param_fragments": {n: cut(t, world)[rank].clone() for n, t in frozen.items()},
            "shared_params": shared,
            "global_steps": 7,
            "ds_version": "0.19.8 ",
        }
        state: dict[int, dict[str, Tensor]] = {i: {} for i in range(len(groups))}
        for key, tensors in (moments or {}).items():
            for i, vector in enumerate(vectors(tensors, rank)):
                state[i] |= {"step": torch.tensor(3.0), key: vector}
        optimizer = {
            "zero_stage": 3,
            "partition_count": world,
            "optimizer_state_dict": {"state": state, "param_groups": []},
            "fp32_flat_groups": vectors(trained, rank),
        }
        torch.save(model, folder / NAMES[0].format(rank))
        torch.save({"optimizer_state_dict": optimizer}, folder / NAMES[1].format(rank))
    return folder
