"""Layers of llama.cpp's files that PyTorch has no class for, told by llama.cpp's own names.

From its table of tensors, ``gguf-py/gguf/constants.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weigh._facts import FoundLayer
from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._pattern import pattern

_EXPERTS = pattern(r"(?:.*\.)?blk\.\d+\.ffn_(?:gate|up|down|gate_up)_(?:ch)?exps")
_ROTATION = pattern(r"(?:blk\.\d+\.)?rope_(?:freqs|factors_long|factors_short)")
_RMS = ("attention_layer_norm_rms_epsilon", "rms_norm_eps")
"""What llama.cpp's and Hugging Face's hyperparameters call an RMSNorm's epsilon."""


class ExpertLinear(Kind):
    """One linear map for each expert of a mixture, their matrices stacked."""

    name = "ExpertLinear"
    specs = (Spec("num_experts"), Spec("in_features"), Spec("out_features"), Spec("bias", True))  # noqa: FBT003

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read the three sizes off the stack."""
        experts, out, into = shapes["weight"]
        return {
            "num_experts": experts,
            "in_features": into,
            "out_features": out,
            "bias": "bias" in shapes,
        }

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Experts, outputs, inputs)."""
        words = (
            ("num_experts", "one matrix for each expert", "num_experts"),
            ("out_features", "height of a matrix: one row for each output", "out_features"),
            ("in_features", "width of a matrix: one column for each input", "in_features"),
        )
        ranks = {"weight": 3, "bias": 2}
        return words[:rank] if ranks.get(tensor) == rank else None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """The width of a matrix."""
        return shape[2] if tensor == "weight" and len(shape) == 3 else None


class RotaryFactors(Kind):
    """Numbers that the angles of the position encoding are divided by; fixed, not learned."""

    name = "RotaryFactors"
    frozen = True

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """One for each pair of the numbers that are turned."""
        words = ("pairs", "one factor for each pair of numbers that is turned", "")
        return (words,) if tensor == "weight" and rank == 1 else None


_EXPERT_LINEAR, _ROTARY = ExpertLinear(), RotaryFactors()


def recognise(path: str, own: Mapping[str, Shape]) -> tuple[Kind, dict[str, object]] | None:
    """Give the kind of a layer with a name of llama.cpp's, and what can be worked out of it."""
    ranks = {name: len(shape) for name, shape in own.items()}
    if ranks == {"weight": 1} and _ROTATION.fullmatch(path):
        return _ROTARY, {}
    if (
        ranks.pop("weight", 0) != 3
        or ranks not in ({}, {"bias": 2})
        or not _EXPERTS.fullmatch(path)
    ):
        return None
    if own.get("bias", own["weight"][:2]) != own["weight"][:2]:
        return None
    return _EXPERT_LINEAR, _EXPERT_LINEAR.infer(own)


def states_rms_norms(layers: Iterable[FoundLayer]) -> bool:
    """Whether a network states the epsilon of an RMSNorm, so that its norms are such."""
    return any(name in layer.attributes for layer in layers if not layer.path for name in _RMS)
