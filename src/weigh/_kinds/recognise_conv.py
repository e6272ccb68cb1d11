"""Telling which convolution a weight of three to five axes is, and what it is joined to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod

from weigh._kinds.kind import Shape
from weigh._kinds.neighbours import BRANCH, Neighbours
from weigh._kinds.survey import CONVISH
from weigh._pattern import pattern


def _word(*choices: str, then: str = "._", more: str = "") -> re.Pattern[str]:
    """Look for one of some words in a path, between dots, underscores and its ends.

    Args:
        choices: the words.
        then: what else than the end may follow one.
        more: what to look for as well.
    """
    text = rf"(?:^|[._])(?:{'|'.join(choices)})(?=$|[{then}])"
    return pattern(f"{text}|{more}" if more else text, re.IGNORECASE)


_STACKED = _word(
    "experts?", "moe", "input_linear", "output_linear", "w[123]", "gate_up_proj", "down_proj"
)
_DEPTHWISE = _word(
    r"dw_?conv|depth_?wise(?:_conv)?|dw|(?:mixer|mamba\w*|ssm|linear_attn)\.conv1d",
    r"temporal_block\.conv_1d",
    then=r"._\d",
)
_TRANSPOSED = pattern(
    r"(?:^|[._])(?:deconv|(?:conv_?)?transposed?|transposed?_?conv|up_?conv|conv_?up|convt|t_?conv"
    r"|conv_?trans|trans_?conv)(?:_?\dd)?s?\d*(?=_|$)",
    re.IGNORECASE,
)
_UP = _word(
    "up", "ups", "decoder", "generator", "decode", "dec",
    then=r"._\d", more=r"(?:^|\.)upsampl(?:e|er|ing)(?=$|[._\d])",
)  # fmt: skip
_RESIZES = pattern(
    r"(?:up|ups|up_?sampl(?:e|er|ing)|up_?score|up_?scale|resize|trans)s?\d*", re.IGNORECASE
)
_DOWN = _word(
    "sr", "stem", r"patch\w*", "dilated", r"enc(?:oder)?\d*", "discriminator", more="down|reduc"
)
_KEEPS_SIZE = _word(
    "resnets?", "res_?blocks?", "attentions?", "attn", "temp_convs?", "shortcut", "residual",
    then=r"._\d", more="skip",
)  # fmt: skip
_BILINEAR = pattern(r"bilinear", re.IGNORECASE)
_LONGEST_KERNEL = 11
_COLOURS, _FEW = 3, 4
"""Channels that a network is given."""


def which(path: str, weight: Shape, bias: Shape | None, near: Neighbours) -> str | None:
    """Name the kind of a layer by its weight of three to five axes; None if nobody can say."""
    rank = len(weight) - 2
    if rank == 1 and _BILINEAR.search(path):
        return "Bilinear"
    if not weight[0] or not weight[1] or (bias is not None and len(bias) != 1):
        return None
    out, depth, *kernel = weight
    plain, transposed = f"Conv{rank}d", f"ConvTranspose{rank}d"
    if bias is not None and bias[0] != out:
        # One number for each output, and those are not the first axis.
        return transposed if bias[0] % depth == 0 and not _is_stacked(path, weight) else None
    if not _is_convolution(path, weight, near):
        return None
    if _named_transposed(path) and (bias is None or out % depth == 0):
        return transposed
    if prod(kernel) == 1:
        return plain  # there is nothing to scatter to
    if out == depth:
        answer = _square(path, kernel)
    else:
        answer = False if bias is not None else _transposed_beside(path, weight, near)
    return None if answer is None else transposed if answer else plain


def connected(
    path: str, kind: str, weight: Shape, values: Mapping[str, object], near: Neighbours
) -> dict[str, object]:
    """Give a convolution's hyperparameters, less what its groups leave open.

    The second axis of a weight holds the channels of one group. What is on the other side of the
    layer is known where there are no groups, or one for each channel.
    """
    kept = dict(values)
    if kind.startswith("ConvTranspose"):
        return _outputs(path, weight, kept, near) if "groups" not in kept else kept
    out, depth = weight[:2]
    if depth == 1 < out:
        single = _one_deep(path, weight, near)
        if single == "depthwise":
            return kept | {"in_channels": out, "groups": out}
        known = single == "single"
    else:
        known = _ungrouped(path, weight, near)
    if not known:
        del kept["in_channels"]
    return kept


def _is_stacked(path: str, weight: Shape) -> bool:
    """Whether a weight is one of many experts' matrices, or a table of positions."""
    return (len(weight) == 5 and weight[0] == 1) or (
        len(weight) == 3 and not CONVISH.search(path) and _STACKED.search(path) is not None
    )


def _is_convolution(path: str, weight: Shape, near: Neighbours) -> bool:
    """Whether a weight is one: experts are stacked alike, and a bilinear map has three axes too.

    Three axes are taken for a Conv1d's if the last is as short as kernels are, and if there are
    convolutions of that sort about.
    """
    if _is_stacked(path, weight):
        return False
    if len(weight) > 3 or CONVISH.search(path):
        return True
    survey = near.survey
    short = weight[2] <= _LONGEST_KERNEL
    return short and (
        survey.one_dimensional or weight[2] == 1 or survey.sizes_after.get(path) in weight[:2]
    )


def _own(path: str) -> str:
    """Give a layer's own name, or that of the list it is in."""
    above, _, last = path.rpartition(".")
    return above.rpartition(".")[2] if last.isdecimal() else last


def _named_transposed(path: str) -> bool:
    return _TRANSPOSED.search(_own(path)) is not None


def _square(path: str, kernel: list[int]) -> bool | None:
    """Whether a convolution of as many channels in as out is transposed: its shape says little.

    Only even kernels are usual where a network grows its picture, and seldom elsewhere.
    """
    even = all(size % 2 == 0 or size == 1 for size in kernel) and max(kernel) > 1
    if _RESIZES.fullmatch(_own(path)):
        return True if even else None
    if _KEEPS_SIZE.search(path) and not even:
        return False
    if _UP.search(path):
        return None
    return None if even and not _DOWN.search(path) else False


def _transposed_beside(path: str, weight: Shape, near: Neighbours) -> bool | None:
    """Whether the layers around a convolution without a bias say that it is transposed."""
    first, second = weight[:2]
    after = near.survey.sizes_after.get(path)
    if after in (first, second):
        return after == second
    if near.chained(path) and BRANCH.search(path) is None:
        if near.channels == first:
            # A convolution in groups may be as shallow.
            return True if path.rpartition(".")[2].isdecimal() and first % second else None
        if near.channels == second:
            return False
    return None if _UP.search(path) and not _KEEPS_SIZE.search(path) else False


def _outputs(
    path: str, weight: Shape, kept: dict[str, object], near: Neighbours
) -> dict[str, object]:
    """Give what a transposed convolution without a bias is known to put out."""
    first, depth = weight[:2]
    after = near.survey.sizes_after.get(path)
    if after is not None and after % depth == 0 and first % (after // depth) == 0:
        return kept | {"out_channels": after, "groups": after // depth}
    if depth < first and first % depth == 0:
        del kept["out_channels"]
    return kept


def _one_deep(path: str, weight: Shape, near: Neighbours) -> str | None:
    """Tell ``"depthwise"`` from ``"single"``, the one channel of an input; None if neither is sure.

    A filter for each channel is as deep as all filters over a single channel.
    """
    out = weight[0]
    if _DEPTHWISE.search(path):
        return "depthwise"
    if near.source is None or (not near.convolved and not near.survey.ordered and near.apart(path)):
        taken = near.survey.takes_colours and not near.survey.ordered
        return None if taken else "single"
    if not (near.survey.ordered or near.cousins(path)):
        return None
    if near.channels == 1:
        return "single"
    # One after another, or of one size, may be branches that take the same few channels.
    fed = near.channels == out and not near.one_deep and not near.gated() and prod(weight[2:]) > 1
    return "depthwise" if fed else None


def _ungrouped(path: str, weight: Shape, near: Neighbours) -> bool:
    """Whether a convolution may be taken to have no groups.

    Grouped ones nearly always give as many channels as they take, so that their depth divides
    these. Then the layer before has to speak for it.
    """
    out, depth = weight[:2]
    if BRANCH.search(path):
        return True  # around the layer before, not after it
    before = near.channels
    if before == depth or out == 1:
        return True  # one output leaves no room for groups
    if before is None and near.source is not None and near.cousins(path):
        return False  # the layer before is there, and does not say what it gives
    if before and before % depth == 0 and out % (before // depth) == 0:
        return depth == _COLOURS and not near.cousins(path)
    divides = depth < out and out % depth == 0
    ordered = near.survey.ordered
    if not divides or (ordered and near.source is not None):
        return True
    return depth == _COLOURS or (depth <= _FEW and (ordered or not near.survey.takes_colours))
