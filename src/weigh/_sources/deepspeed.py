"""Checkpoints of DeepSpeed: a folder ``global_stepN`` of files, one or two for each process.

Up to ZeRO's second stage one file holds the network as it is. In the third every process holds a
part of every parameter; they are put together when they are read. The pickles are interpreted,
and ``zero_to_fp32.py``, which lies beside them, is not run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from weigh._errors import FormatError, SourceError, UnsupportedError, WeighError
from weigh._facts import Facts
from weigh._sources import model_folder
from weigh._sources.checkpoint import checkpoint_facts
from weigh._sources.deepspeed_parts import gathered
from weigh._sources.deepspeed_stated import members, roles_of, stated_by
from weigh._sources.folder import Folder
from weigh._sources.parts import cleaner
from weigh._sources.torch_zip import opened

_MODEL = re.compile(
    r"(?:(?:bf16_|fp16_)?zero_pp_rank_(\d{1,6})_)?mp_rank_(\d{1,6})_model_states\.pt"
)
_OPTIMIZER = re.compile(
    r"(?:bf16_|fp16_)?zero_pp_rank_(\d{1,6})_mp_rank_(\d{1,6})_optim_states\.pt"
)
_STATES, _MOMENTS, _LATEST = "model_states.pt", "optim_states.pt", "latest"
_MAX_PROCESSES, _MAX_TAG = 4096, 1000


def read(folder: Folder) -> Facts:
    """Read what a DeepSpeed checkpoint states: the folder of a step, or the one around it.

    Raises:
        FormatError: its files do not make its parameters.
        SourceError: a file is missing.
        UnsupportedError: the network is spread over processes in another way.
    """
    files = folder.files()
    if any(name in files for name in model_folder.PREFERRED):
        return model_folder.read(folder)
    step = folder if any(name.endswith(_STATES) for name in files) else _latest(folder, files)
    if step is None:
        return model_folder.read(folder)
    names = step.files()
    models = _by_process(names, _MODEL)
    if not models:
        raise SourceError("the checkpoint has no file of model states", where=step.name)
    partitioned = any(name.partition("mp_rank")[0] for name in models)
    facts = (
        gathered(step, models, _by_process(names, _OPTIMIZER))
        if partitioned
        else _whole(step, models[0], names)
    )
    facts = model_folder.with_config(folder, files, facts)
    return replace(facts, format="deepspeed", location=folder.name)


def _latest(folder: Folder, files: Sequence[str]) -> Folder | None:
    """Give the folder of the latest step, which a file names; None if that is no step's name."""
    if _LATEST not in files:
        return None
    source = folder.open(_LATEST)
    text = bytes(source.view(0, min(source.size, _MAX_TAG))).decode("utf-8", "replace").strip()
    try:
        return folder.folder(text)
    except SourceError as error:
        # Other programs call a file "latest" too.
        if model_folder.weight_files(files):
            return None
        if isinstance(error, FormatError):
            raise
        raise SourceError(
            f"the file {_LATEST!r} names a step that is not here", seen=repr(text[:100])
        ) from None


def _by_process(names: Sequence[str], pattern: re.Pattern[str]) -> list[str]:
    """Give the files of a sort, in the order of the processes that wrote them."""
    suffix = _MOMENTS if pattern is _OPTIMIZER else _STATES
    found: dict[int, str] = {}
    for name in names:
        if not name.endswith(suffix):
            continue
        fits = pattern.fullmatch(name)
        if fits is None or int(fits[2]):
            raise UnsupportedError(
                "tensor, pipeline and expert parallel checkpoints of DeepSpeed are not put "
                "together yet",
                seen=repr(name[:200]),
                do="Name one of the files: it opens as the part that it is.",
            )
        process = int(fits[1] or 0)
        if process in found:
            raise SourceError(
                f"two files are of process {process}",
                seen=f"{found[process]}, {name}",
                do="Keep those of one checkpoint.",
            )
        found[process] = name
    if len(found) > _MAX_PROCESSES:
        raise UnsupportedError("it was written by far too many processes", seen=f"{len(found):,}")
    if sorted(found) != list(range(len(found))):
        lacking = next(i for i in range(len(found)) if i not in found)
        raise SourceError(
            f"the file of process {lacking} is missing",
            seen=f"{len(found):,} files of {suffix.removesuffix('.pt')}",
            do="Fetch what is missing.",
        )
    return [found[i] for i in range(len(found))]


def _whole(step: Folder, name: str, names: Sequence[str]) -> Facts:
    """Read a network that one file holds."""
    source = step.open(name)
    try:
        pickle, reader, storages = opened(source)
        facts = checkpoint_facts("deepspeed", source, pickle, reader, storages.sizes)
        top = members(pickle.value)
        stated = stated_by(top)
    except WeighError as error:
        raise error.at(source.name) from None
    clean = cleaner(list(members(top.get("module"))))[0]
    roles = roles_of(stated, clean)
    tensors = []
    for tensor in facts.tensors:
        role, learnable = roles.get(tensor.name, (None, None))
        own = role is not None and tensor.role is None
        tensors.append(replace(tensor, role=role, learnable=learnable) if own else tensor)
    others = [one for one in names if one.endswith(_MOMENTS)]
    notes = (f"The optimizer's state, in {len(others):,} other files, is not shown.",)
    return replace(facts, tensors=tuple(tensors), notes=(*facts.notes, *(notes if others else ())))
