"""What is worked out of one layer, or of all layers that were made alike: its kind and numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from weigh._facts import FoundClass, FoundLayer
from weigh._kinds.kind import Hypers, Kind
from weigh._kinds.loose import completed, stated_hyperparameters, stated_kind
from weigh._kinds.names import looks_fused
from weigh._kinds.neighbours import Neighbours
from weigh._kinds.quantized import Packing, packing
from weigh._kinds.recognise import recognise
from weigh._kinds.table import find
from weigh._kinds.tree import Node, holds_tensors, with_originals
from weigh._model import Hyperparameter, Status
from weigh._record import field, record
from weigh._tensor import Form

_TRANSFORMER = "torch.nn.modules.transformer.Transformer"
"""When it has made its layers, it draws all their parameters of two axes or more again."""


@record()
class Reading:
    """What was worked out about a layer, or about all layers that were made alike.

    Attributes:
        forms: what its tensors are, by all that tells one from another within such a layer.
        redraws: whether such a layer draws the matrices of all layers below it anew.
    """

    kind: Kind | None
    name: str
    status: Status
    hypers: dict[str, Hyperparameter]
    signature: str = ""
    packing: Packing | None = None
    forms: dict[Hashable, Form] = field(default_factory=dict)
    redraws: bool = False


_READ: dict[Hashable, Reading] = {}
"""The readings of stated layers by everything stated of them: plain values, of no one network."""


_MOST_READ = 4096


@record(frozen=True)
class Context:
    """What holds for the whole network while its layers are read.

    Attributes:
        near: what came before the layer that is being read.
        ties: the first name of each tensor met under another name.
        ordered: whether the source's order is the network's own.
        quantized: whether any tensor is of a quantized dtype.
        keras: whether the format is one that Keras writes.
    """

    near: Neighbours
    ties: Mapping[str, str]
    ordered: bool
    quantized: bool
    keras: bool


def read_kind(node: Node, within: Context) -> Reading:
    found = node.found
    if found is not None and found.kind is not None:
        reading = _stated(found)
        loose = found.made_by is not None and found.made_by.loose
        return _completed(reading, node, within) if loose and node.own else reading
    packed = packing(node.own)
    guess = _guess(node, packed, within)
    if guess is None:
        return Reading(None, "?", "unknown", {}, packing=packed)
    kind, values = guess
    hypers = kind.hyperparameters(values, "inferred", {})
    return Reading(kind, kind.name, "inferred", hypers, kind.signature(Hypers(hypers)), packed)


def _completed(reading: Reading, node: Node, within: Context) -> Reading:
    """Work out what a file that states a layer's class does not say of it."""
    kind = reading.kind
    if kind is not None and all(h.status != "unknown" for h in reading.hypers.values()):
        return reading
    shapes = {name: t.values.shape for name, t in node.own.items() if t.values.shape is not None}
    guess = _guess(node, packing(node.own), within)
    kind, hypers = completed(kind, reading.hypers, guess, shapes)
    # What a class of the user's prints, nobody says.
    signature = kind.signature(Hypers(hypers)) if kind and reading.kind else ""
    return Reading(kind, reading.name, "stated", hypers, signature)


def _guess(
    node: Node, packed: Packing | None, within: Context
) -> tuple[Kind, dict[str, object]] | None:
    """Guess a layer's kind from what it holds."""
    if packed is not None and packed.kind is not None:
        return packed.kind, packed.values
    if packed is not None and "weight.absmax" in packed.buffers:
        return None  # the shape of a flattened weight says nothing
    shapes = {
        name: tensor.values.shape
        for name, tensor in with_originals(node).items()
        if tensor.values.shape is not None
    }
    children = [name for name, child in node.children.items() if holds_tensors(child)]
    if not shapes:
        return None
    # Keras and Flax call what they learn alike, and lay it out alike.
    found = None
    if within.keras:
        from weigh._kinds.keras import guess  # most networks are not Keras's

        found = guess(node.path, shapes)
    return found or recognise(node.path, shapes, within.near, children)


def _stated(found: FoundLayer) -> Reading:
    """Read a stated layer; layers that were made alike share one reading."""
    # The arguments as text, for True equals 1 but is not printed like it.
    made = (found.kind, found.made_by, repr(found.attributes), looks_fused(found.path))
    reading = _READ.get(made)
    if reading is None:
        if len(_READ) >= _MOST_READ:
            _READ.clear()
        reading = _READ[made] = _read_stated(found)
    return reading


def _read_stated(found: FoundLayer) -> Reading:
    made_by = found.made_by or FoundClass("")
    kind, printed = stated_kind(made_by)
    if kind is not None and kind.name in ("Linear", "Conv1D") and looks_fused(found.path):
        kind = find(f"Fused{kind.name}")
    hypers = stated_hyperparameters(kind, made_by, found.attributes)
    return Reading(
        kind,
        printed or found.kind or "?",
        "stated",
        hypers,
        (kind or Kind()).signature(Hypers(hypers)),
        redraws=_TRANSFORMER in (made_by.path, *made_by.bases),
    )
