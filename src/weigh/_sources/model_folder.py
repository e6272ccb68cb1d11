"""A folder that holds a model: weights in one file or several, and facts beside them.

The facts are those of Hugging Face's ``config.json`` (of transformers, diffusers, PEFT); a pipeline
of diffusers is a folder of such folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from weigh._errors import FormatError, SourceError, UnsupportedError
from weigh._facts import Accounts, Facts, Fault, FoundLayer, FoundTensor
from weigh._registry import WEIGHT_FILES
from weigh._sources.folder import Folder
from weigh._sources.imports import Imports, united
from weigh._sources.json_file import json_text, plain_members
from weigh._sources.reading import read_file
from weigh._sources.sharded import read_set
from weigh._sources.split_names import indexed_model, split_name

_CONFIGS = ("config.json", "adapter_config.json")
_PIPELINE = "model_index.json"
_MAX_CONFIG = 10_000_000
_MAX_PARTS = 32
_NAMED = 4

# One set of weights is often there in several forms; the first of these is read.
PREFERRED = (
    "model.safetensors.index.json",
    "model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "adapter_model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin",
    "adapter_model.bin",
)
# A trainer keeps these beside the weights; they are no second model.
_BESIDE = re.compile(
    r"(optimizer|scheduler|scaler|rng_state\w*|training_args|trainer_state|random_states\w*)\."
    r"(pt|pth|bin|pkl)"
)


def read(folder: Folder) -> Facts:
    """Read the model that a folder holds.

    Raises:
        SourceError: no file in it holds weights, or several do and none is plainly the model.
    """
    files = folder.files()
    if _PIPELINE in files:
        return _pipeline(folder)
    name, others = _choose(files)
    split = split_name(name)
    alone = split is None or split.total < 2 or name.endswith(".gguf")
    facts = read_file(folder.open(name)) if split is None or alone else read_set(folder, split)
    facts = with_config(folder, files, facts)
    note = _note(name, others, facts)
    return replace(facts, location=f"{folder.name}", notes=(note, *facts.notes))


def _choose(files: Sequence[str]) -> tuple[str, list[str]]:
    """Choose the file to read; give the others that hold weights too."""
    weights = weight_files(files)
    if not weights:
        raise SourceError(
            "no file in this folder holds weights that Weigh knows by name",
            seen=", ".join(files[:3]) + (", ..." if len(files) > 3 else "") or "no file",
            do="Name the file.",
        )
    ways = _ways(weights)
    chosen = next((name for name in PREFERRED if name in ways), None)
    if chosen is None and len(ways) > 1:
        raise SourceError(
            "several files in this folder hold weights, and none is plainly the model",
            seen=", ".join(list(ways)[:4]) + (", ..." if len(ways) > 4 else ""),
            do="Name one of them.",
        )
    chosen = chosen or next(iter(ways))
    return chosen, [name for name in ways if name != chosen]


def _note(chosen: str, others: Iterable[str], facts: Facts) -> str:
    """Say which file was read, and which other ones are left alone."""
    if facts.format == "sharded":  # an index may name files of any name
        read_too = {t.identity[0] for t in facts.tensors if isinstance(t.identity, tuple)}
        others = [name for name in others if name not in read_too]
    return f"Read from {chosen}{left_alone(others)}."


def left_alone(names: Iterable[str]) -> str:
    """Say that files were not read; the empty text if there are none.

    Examples:
        >>> left_alone(["a.bin", "b.bin"])
        '; not from a.bin, b.bin, which are there too'
    """
    there = list(names)
    more = f" and {len(there) - _NAMED:,} more" if len(there) > _NAMED else ""
    verb = "is" if len(there) == 1 else "are"
    return f"; not from {', '.join(there[:_NAMED])}{more}, which {verb} there too" if there else ""


def weight_files(files: Iterable[str]) -> list[str]:
    """Give those of some files that hold weights, by their names."""
    return [f for f in files if _fits(f, WEIGHT_FILES) and not _BESIDE.fullmatch(f)]


def _ways(weights: Iterable[str]) -> dict[str, None]:
    """Give the files that each hold the weights whole: an index stands for its parts."""
    names = list(weights)
    indexed = {model for model in map(indexed_model, names) if model}
    ways: dict[str, None] = {}
    for name in names:
        part = split_name(name)
        if part and part.model in indexed and not name.endswith(".gguf"):
            continue
        # The first stands for all, be it there or not.
        ways[part.sibling(1) if part else name] = None
    return ways


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def with_config(folder: Folder, files: Sequence[str], facts: Facts) -> Facts:
    """State the network's class and hyperparameters as its config does, if there is one.

    Args:
        folder: where the config would be.
        files: the names of the files in it.
        facts: what the weights state.

    Raises:
        FormatError: the config is no JSON object.
    """
    name = next((one for one in _CONFIGS if one in files), None)
    if name is None:
        return facts
    source = folder.open(name)
    try:
        values = plain_members(json_text(source, _MAX_CONFIG))
    except FormatError as error:
        raise error.at(source.name) from None
    classes = values.pop("architectures", None)
    kind = classes[0] if isinstance(classes, list) and len(classes) == 1 else None
    # A diffusers part names its class; PEFT says only what it adapts.
    kind = kind or values.pop("_class_name", None) or values.get("peft_type")
    plain = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
        if key.isidentifier() and not key.startswith("_")
    }
    root = FoundLayer("", kind if isinstance(kind, str) else None, attributes=plain)
    below = (layer for layer in facts.layers if layer.path)
    return replace(facts, layers=(root, *below))


def _pipeline(folder: Folder) -> Facts:
    """Read every part of a pipeline that holds weights, under its folder's name."""
    named = _part_names(json_text(folder.open(_PIPELINE), _MAX_CONFIG))
    there = [name for name in folder.folders() if name in named]
    if len(there) > _MAX_PARTS:
        raise UnsupportedError("the pipeline has far too many parts", seen=f"{len(there)}")
    layers: list[FoundLayer] = [FoundLayer("", named[""], attributes={})]
    tensors: list[FoundTensor] = []
    notes: list[str] = []
    accounts = Accounts(0, 0, 0, 0, 0)
    imports: list[Imports] = []
    faults: list[Fault] = []
    for name in there:
        inner = folder.folder(name)
        if not any(_fits(file, WEIGHT_FILES) for file in inner.files()):
            continue  # a tokenizer or a scheduler
        facts = read(inner)
        layers += (
            replace(layer, path=f"{name}.{layer.path}" if layer.path else name)
            for layer in facts.layers
        )
        tensors += (
            replace(t, name=f"{name}.{t.name}", identity=(name, t.identity)) for t in facts.tensors
        )
        notes += (f"{name}: {note}" for note in facts.notes)
        accounts += facts.accounts or Accounts(0, 0, 0, 0, 0)
        imports.append(tuple((one, f"{name}/{file}") for one, file in facts.imports))
        faults += (replace(one, where=f"{name}/{one.where}") for one in facts.faults)
    if not tensors:
        raise SourceError("no part of this pipeline holds weights", seen=", ".join(there[:5]))
    return Facts(
        "folder",
        folder.name,
        tuple(tensors),
        tuple(layers),
        ordered=False,
        notes=tuple(notes),
        accounts=accounts,
        imports=united(imports),
        faults=tuple(faults),
    )


def _part_names(text: str) -> dict[str, str | None]:
    """Give the pipeline's own class under "", and the names of its parts."""
    values = plain_members(text)
    kind = values.get("_class_name")
    named: dict[str, str | None] = {"": kind if isinstance(kind, str) else None}
    for key, value in values.items():
        # A part is ["library", "class"]; one that is left out is [null, null].
        if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str):
            named[key] = value[1]
    return named
