"""Which normalisation follows a layer, by names and order."""

from __future__ import annotations

from weigh._checks.subject import Subject
from weigh._model import Layer, Tensor
from weigh._pattern import pattern

_NUMBER = pattern(r"(.*?)(\d*)$")
VARIANCES = ("running_var", "moving_variance", "var")
"""What the running variance of a normalisation is called."""


def norm_after(subject: Subject, weight: Tensor) -> tuple[Layer, Tensor, float] | None:
    """Find the batch normalisation that takes what a layer gives.

    It is the next layer with running statistics in the network's own order, or, where a file has
    none, the one beside it of the same number (``conv1`` and ``bn1``) or the next number
    (``0`` and ``1``). Its channels must be those of the layer.

    Gives the layer, its running variance and what is added to that.
    """
    layer = subject.layer_of(weight)
    if layer is None:
        return None
    size = (weight.shape or (0,))[0]
    for path in _candidates(subject, weight.layer):
        norm = subject.layers[path]
        variance = next((norm._tensors[n] for n in VARIANCES if n in norm._tensors), None)
        if variance is not None and variance.shape == (size,):
            row = norm.hyperparameters.get("eps") or norm.hyperparameters.get("epsilon")
            eps = row.value if row is not None and isinstance(row.value, float) else 1e-5
            return norm, variance, eps
    return None


def _candidates(subject: Subject, path: str) -> list[str]:
    paths = list(subject.layers)
    parent, _, name = path.rpartition(".")
    if subject.network.ordered:
        at = paths.index(path)
        # Only the very next layer that holds anything.
        for after in paths[at + 1 :]:
            if subject.layers[after]._tensors:
                return [after]
        return []
    match = _NUMBER.fullmatch(name)
    if match is None or not match[2]:
        return []
    prefix = f"{parent}." if parent else ""
    if not match[1]:
        beside = [f"{prefix}{int(match[2]) + 1}"]
    else:
        words = ("bn", "norm", "batchnorm", "bn_", "norm_")
        beside = [f"{prefix}{word}{match[2]}" for word in words]
        beside.append(f"{prefix}{name}_BN")
    return [one for one in beside if one in subject.layers]
