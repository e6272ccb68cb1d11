"""From which distributions a tensor may have been drawn: its layer's default, and customs."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod, sqrt

from weigh._measures.channels import OUTPUTS, ROWS, channel_axis
from weigh._measures.fit import Distribution
from weigh._model import Tensor
from weigh._pattern import pattern
from weigh._record import record

_STARTS_AT_ZERO = pattern(r"(?:^|[._])lora_(?:B|up)(?:[._]|$)")
"""The matrix of a LoRA that starts at 0 (Hu et al. 2021, arXiv:2106.09685, section 4.1)."""
_CUT = 0.87962566103423978
"""By this the deviation of a normal distribution shrinks when it is cut at two of them."""


@record(frozen=True)
class Start:
    """One way a tensor may have been drawn.

    Attributes:
        name: what it is called: ``"its default"``, ``"kaiming_normal, fan_out"``.
        distribution: the distribution.
        default: whether the layer draws it so unless it is told otherwise.
    """

    name: str
    distribution: Distribution
    default: bool = False


_BIASES = ("bias", "in_proj_bias", "beta")
SCALES = ("weight", "gamma", "scale")
"""What the scale of a normalisation is called."""


def constants(tensor: Tensor) -> list[float]:
    """Give the numbers that all values of a tensor may start at."""
    initial = tensor.initial
    if initial is not None and initial.family == "constant":
        return [initial.a]
    own = tensor.name.rpartition(".")[2]
    if len(tensor.shape or ()) == 1 and own.startswith(_BIASES):
        return [0.0]
    # A vector called so, of a layer of unknown kind, is a scale, or the slopes of a PReLU.
    if len(tensor.shape or ()) == 1 and own in SCALES and initial is None:
        return [1.0, 0.25]
    return [0.0] if _STARTS_AT_ZERO.search(tensor.name) else []


def decides(tensor: Tensor) -> bool:
    """Whether its start is so particular that a tensor which is still at it was never trained.

    A bias of zeros says nothing of its layer.
    """
    initial = tensor.initial
    if initial is not None:
        return initial.family == "constant"
    return not tensor.name.rpartition(".")[2].startswith(_BIASES)


def starts(tensor: Tensor, into: int | None = None) -> list[Start]:
    """Give the distributions that a tensor may have been drawn from, its default first.

    Args:
        tensor: the tensor.
        into: the inputs of each output of its layer, as its weight tells.
    """
    found: dict[Distribution, Start] = {}
    for start in _all(tensor, into):
        if start.distribution.std > 0:
            found.setdefault(start.distribution, start)
    return list(found.values())


def _all(tensor: Tensor, into: int | None) -> Iterator[Start]:
    initial = tensor.initial
    if initial is not None and initial.family != "constant":
        yield Start("its default", Distribution(initial.family, initial.a, initial.b), default=True)
    if len(tensor.shape or ()) < 2:
        if initial is None and into and tensor.name.rpartition(".")[2].startswith(_BIASES):
            yield _uniform("uniform, 1 / sqrt(fan_in)", sqrt(1 / into))
        return
    if initial is None and len(tensor.shape or ()) == 3 and (tensor.shape or ())[1]:
        yield _uniform("that of a Bilinear", 1 / sqrt((tensor.shape or ())[1]))
    for fans in _fans(tensor):
        yield from _of_fans(*fans)
    for deviation in (1.0, 0.02, 0.01):
        yield _normal(f"normal, deviation {deviation:g}", deviation)
    yield _cut("truncated normal, deviation 0.02", 0.02)
    if channel_axis(tensor) is not None and tensor.axes[0].name in ROWS:
        width = (tensor.shape or (1,))[-1]
        if width:
            yield _normal("normal, 1 / sqrt(embedding_dim)", 1 / sqrt(width))


def _fans(tensor: Tensor) -> Iterator[tuple[int, int]]:
    """Give the inputs of each output and the outputs of each input."""
    shape, into = tensor.shape or (), tensor.fan_in
    at = channel_axis(tensor)
    if not prod(shape):
        return
    if into is None and at is None:
        yield prod(shape[1:]), shape[0] * prod(shape[2:])  # as PyTorch's layers have them
        return
    if not into or at is None or tensor.axes[at].name not in OUTPUTS:
        return
    # What the initialisers of PyTorch work with: both fans count the places of a filter.
    places = prod(shape[2:]) if at == 0 else prod(shape[:-2])
    yield into, shape[at] * places


def _of_fans(into: int, out: int) -> Iterator[Start]:
    """Give the usual initialisers (Glorot and Bengio 2010; He et al. 2015; LeCun et al. 1998)."""
    both = into + out
    yield _uniform("kaiming_uniform, fan_in", sqrt(6 / into))
    yield _uniform("kaiming_uniform, fan_out", sqrt(6 / out))
    yield _uniform("xavier_uniform", sqrt(6 / both))
    yield _uniform("lecun_uniform", sqrt(3 / into))
    yield _uniform("uniform, 1 / sqrt(fan_in)", sqrt(1 / into))
    yield _normal("kaiming_normal, fan_in", sqrt(2 / into))
    yield _normal("kaiming_normal, fan_out", sqrt(2 / out))
    yield _normal("xavier_normal", sqrt(2 / both))
    yield _normal("normal, 1 / sqrt(fan_in)", sqrt(1 / into))
    yield _cut("lecun_normal", sqrt(1 / into) / _CUT)
    yield _cut("he_normal", sqrt(2 / into) / _CUT)
    yield _cut("glorot_normal", sqrt(2 / both) / _CUT)


def _uniform(name: str, bound: float) -> Start:
    return Start(name, Distribution("uniform", -bound, bound))


def _normal(name: str, deviation: float) -> Start:
    return Start(name, Distribution("normal", 0.0, deviation))


def _cut(name: str, deviation: float) -> Start:
    return Start(name, Distribution("truncated", 0.0, deviation))
