"""What every kind of layer can say of itself."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt
from typing import Literal

from weigh._model import Hyperparameter, Initial, Status
from weigh._record import record

REQUIRED = object()
"""Stands for the default of an argument that has none."""

Shape = tuple[int, ...]
AxisWords = tuple[str, str, str]
"""An axis's name, its meaning in words, and the formula of its size."""


@record(frozen=True)
class Spec:
    """One argument of a layer's constructor.

    Attributes:
        name: the argument.
        default: its default, or ``REQUIRED``.
        show: where PyTorch prints it: first and bare, always as ``name=value``, only when it
            differs from the default, or never.
        quoted: whether PyTorch prints a text with its quotes (``mode='mean'``), as it rarely does
            (``padding_mode=reflect``).
    """

    name: str
    default: object = REQUIRED
    show: Literal["bare", "always", "changed", "never"] = "always"
    quoted: bool = False


class Hypers:
    """The hyperparameters of one layer, with a short way to ask for a value."""

    def __init__(self, rows: Mapping[str, Hyperparameter]) -> None:
        self.rows = rows

    def known(self, name: str) -> bool:
        """Whether the value is stated or inferred."""
        return name in self.rows and self.rows[name].status != "unknown"

    def value(self, name: str, default: object = None) -> object:
        """Give a value, or the default where it is unknown."""
        return self.rows[name].value if self.known(name) else default

    def integer(self, name: str, default: int = 1) -> int:
        """Give a value that is a whole number, or the default."""
        value = self.value(name, default)
        return value if isinstance(value, int) else default


class Kind:
    """A kind of layer: its hyperparameters, axes, printed line and default initial values.

    A subclass names itself, lists its hyperparameters in the order PyTorch prints them, and
    overrides what differs. All of it works from names, shapes and hyperparameters alone.
    """

    name: str = "?"
    specs: tuple[Spec, ...] = ()
    order: tuple[str, ...] = ("weight", "bias")
    """Its own tensors in the order a state dict lists them."""
    frozen = False
    """Whether what others of its family learn is kept in buffers."""

    def hyperparameters(
        self, values: Mapping[str, object], status: Status, defaults: Mapping[str, object]
    ) -> dict[str, Hyperparameter]:
        """Label the known values; the rest of the constructor's arguments are unknown.

        Args:
            values: what is known, by argument.
            status: how it is known.
            defaults: the constructor's defaults where the source states them.
        """
        rows = {spec.name: unknown(spec.name) for spec in self.specs}
        known = {spec.name: spec.default for spec in self.specs if spec.default is not REQUIRED}
        known |= defaults
        for name, value in values.items():
            origin = None
            if status == "stated":
                same = name in known and (
                    as_default(value, known[name]) or _follows(name, value, known[name], values)
                )
                origin = "default" if same else "given"
            rows[name] = Hyperparameter(name, value, status, origin)  # type: ignore[arg-type]
        return rows

    def signature(self, h: Hypers) -> str:
        """Write what PyTorch prints between the brackets, ``?`` for what is unknown."""
        parts = []
        for spec in self.specs:
            if spec.show == "never" or spec.name not in h.rows:
                continue
            write = repr if spec.quoted else str
            shown = write(h.value(spec.name)) if h.known(spec.name) else "?"
            if spec.show == "bare":
                parts.append(shown)
            elif spec.show == "always" or (
                h.known(spec.name) and not as_default(h.value(spec.name), spec.default)
            ):
                parts.append(f"{spec.name}={shown}")
        return ", ".join(parts)

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Work hyperparameters out from the shapes of the layer's own tensors."""
        return {}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """Name the axes of one of its tensors; None if it is not one that the kind knows."""
        return None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """Count the inputs that each output value of this tensor is computed from."""
        return None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Give the distribution that PyTorch draws the tensor from by default."""
        return None


def unknown(name: str) -> Hyperparameter:
    """A hyperparameter that nobody says."""
    return Hyperparameter(name, None, "unknown")


_DEFAULTS_TO = {"kdim": "embed_dim", "vdim": "embed_dim", "stride": "kernel_size"}
"""Arguments whose default None stands for the value of another."""


def _follows(name: str, value: object, default: object, values: Mapping[str, object]) -> bool:
    """Whether the constructor makes that value of its default.

    A pooling's stride of None becomes its kernel size; a normalisation without ``affine`` has
    no bias whatever was asked for; a DataParallel takes all devices there are, maybe none.
    """
    if default is None:
        if name == "device_ids" and isinstance(value, tuple):
            return value == tuple(range(len(value)))
        other = values.get(_DEFAULTS_TO.get(name, ""))
        return value is not None and type(value) is type(other) and value == other
    if name == "bias" and value is False:
        return values.get("affine", values.get("elementwise_affine")) is False
    return False


def as_default(value: object, default: object) -> bool:
    """Whether a value is its default: ``(1, 1)`` is a default of 1.

    Examples:
        >>> as_default((1, 1), 1), as_default((2, 1), 1), as_default(True, 1)
        (True, False, False)
    """
    if isinstance(value, tuple | list) and not isinstance(default, tuple | list):
        return bool(value) and all(as_default(part, default) for part in value)
    if isinstance(value, bool) or isinstance(default, bool):
        return value is default
    return value == default


def uniform_by_fan_in(fan_in: int, name: str = "fan_in") -> Initial | None:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)): the start of PyTorch's Linear and convolutions.

    It is written there as ``kaiming_uniform_`` with ``a = sqrt(5)`` (He et al. 2015,
    arXiv:1502.01852), whose bound sqrt(6 / ((1 + a^2) fan_in)) is 1 / sqrt(fan_in).
    """
    if fan_in < 1:
        return None
    bound = 1 / sqrt(fan_in)
    return Initial("uniform", -bound, bound, f"1 / sqrt({fan_in}), {name} = {fan_in}")


def xavier_uniform(shape: Shape) -> Initial | None:
    """U(-b, b) with b = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    if len(shape) < 2 or not prod(shape):
        return None
    into, out = prod(shape[1:]), shape[0] * prod(shape[2:])
    bound = sqrt(6 / (into + out))
    return Initial("uniform", -bound, bound, f"sqrt(6 / ({into} + {out})), Xavier")
