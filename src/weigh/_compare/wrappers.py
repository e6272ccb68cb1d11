"""What wrappers around modules put into the names of their tensors."""

from __future__ import annotations

from weigh._pattern import pattern

_WRAPPERS = frozenset(
    (
        "module",  # DistributedDataParallel, DataParallel, DeepSpeed's engine
        "_orig_mod",  # torch.compile
        "_fsdp_wrapped_module",
        "_checkpoint_wrapped_module",
        "_forward_module",  # Lightning
        "base_layer",  # PEFT
        "original_module",
    )
)
_WRAPPED = pattern(
    r"(?:^|\.)(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module"
    r"|base_layer|original_module|base_model|parametrizations|lora_\w{1,20}|\w{1,40}_orig)(?:\.|$)"
)
"""Whether there is anything to do at all."""

_WEIGHT_NORM = {"original": "", "original0": "_g", "original1": "_v"}
"""What ``torch.nn.utils.parametrizations`` keeps, by the names of the older ``weight_norm``."""


def unwrapped(name: str) -> tuple[str, frozenset[str]]:
    """Give a name without what wrappers put into it, and a few words for each thing left out.

    Examples:
        >>> unwrapped("_orig_mod.layers.0._checkpoint_wrapped_module.fc.weight")[0]
        'layers.0.fc.weight'
        >>> unwrapped("module.fc.weight")
        ('fc.weight', frozenset({'prefix module.'}))
    """
    if not _WRAPPED.search(name):
        return name, frozenset()
    parts = name.split(".")
    said: set[str] = set()
    if parts[:2] == ["base_model", "model"] and len(parts) > 2:
        said.add("prefix base_model.model.")
        parts = parts[2:]
    # The last part is the tensor's own name, whatever it is.
    kept = [part for part in parts[:-1] if part not in _WRAPPERS] + parts[-1:]
    if len(kept) < len(parts):
        said.update(f"without {part}." for part in parts[:-1] if part in _WRAPPERS)
        if said == {"without module."} and parts[0] == "module" and len(kept) == len(parts) - 1:
            said = {"prefix module."}
    kept = _original(_adapter(kept, said), said)
    return ".".join(kept), frozenset(said)


def _adapter(parts: list[str], said: set[str]) -> list[str]:
    """Leave out the name of a LoRA adapter, which PEFT leaves out of the file that it saves."""
    if len(parts) > 2 and parts[-2] == "default" and parts[-3].startswith("lora_"):
        said.add("without default.")
        return [*parts[:-2], parts[-1]]
    return parts


def _original(parts: list[str], said: set[str]) -> list[str]:
    """Call a parametrized tensor as it was called before."""
    if len(parts) > 2 and parts[-3] == "parametrizations" and parts[-1] in _WEIGHT_NORM:
        said.add("parametrization")
        return [*parts[:-3], parts[-2] + _WEIGHT_NORM[parts[-1]]]
    if parts[-1].endswith("_orig"):
        said.add("parametrization")
        return [*parts[:-1], parts[-1].removesuffix("_orig")]
    return parts
