"""From what a source states to the network Weigh shows: the tree, its kinds and axes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from weigh._facts import Facts, FoundTensor
from weigh._kinds.form import Owner, form_of
from weigh._kinds.holders import Holder
from weigh._kinds.kind import Hypers
from weigh._kinds.llama_cpp import states_rms_norms
from weigh._kinds.neighbours import Neighbours
from weigh._kinds.purpose import purpose
from weigh._kinds.reading import Context, Reading, read_kind
from weigh._kinds.survey import survey
from weigh._kinds.tree import Node, arranged, in_tree
from weigh._model import Axis, Layer, Network, Parameter, Tensor
from weigh._tensor import Form


def interpret(facts: Facts) -> Network:
    """Join a source's facts with what kinds of layer mean.

    Everything the source states stays stated; what is added is marked inferred.
    """
    within = Context(
        near=_survey(facts),
        ties=_ties(facts.tensors),
        ordered=facts.ordered,
        quantized=any(t.values.dtype.family == "quantized" for t in facts.tensors),
        keras=facts.format in ("keras", "hdf5"),
    )
    top = _layer(arranged(facts), within, None, redrawn=False)
    others = tuple(_loose(t, within.ties) for t in facts.tensors if not in_tree(t))
    return Network(
        **{name: getattr(top, name) for name in Layer.__match_args__},
        format=facts.format,
        location=facts.location,
        ordered=facts.ordered,
        metadata=facts.metadata,
        notes=facts.notes,
        accounts=facts.accounts,
        imports=facts.imports,
        faults=facts.faults,
        _others=others,
        _live=facts.live,
    )


def _ties(tensors: Iterable[FoundTensor]) -> dict[str, str]:
    """Map each name of a tensor that was met before to the first of its names."""
    first: dict[Hashable, str] = {}
    ties: dict[str, str] = {}
    for tensor in tensors:
        if tensor.identity is None:
            continue
        name = first.setdefault(tensor.identity, tensor.name)
        if name != tensor.name:
            ties[tensor.name] = name
    return ties


def _survey(facts: Facts) -> Neighbours:
    """Note what holds for the whole network before its layers are read."""
    if any(layer.kind for layer in facts.layers if layer.path):
        return Neighbours()
    # A state dict lists its layers by path alone: their kinds are to be told all the same.
    shapes = ((t.name, t.values.shape) for t in facts.tensors if in_tree(t))
    known = {name: shape for name, shape in shapes if shape is not None}
    noted = survey(known, gpt2=_is_gpt2(facts.tensors), ordered=facts.ordered)
    if states_rms_norms(facts.layers):
        noted.rms_roots.add("")
    return Neighbours(noted)


def _is_gpt2(tensors: Iterable[FoundTensor]) -> bool:
    """Whether a fused ``c_attn`` is stored (in, 3 x in): GPT-2's way, not that of a Linear."""
    return any(
        tensor.name.endswith("c_attn.weight")
        and len(shape := tensor.values.shape or ()) == 2
        and shape[1] == 3 * shape[0]
        for tensor in tensors
    )


def _layer(node: Node, within: Context, owner: Owner | None, *, redrawn: bool) -> Layer:
    reading = read_kind(node, within)
    redrawn = redrawn or reading.redraws
    means = purpose(node.path)
    own = _packed_together(node.own) if within.quantized else node.own
    if not within.ordered and reading.kind is not None:
        own = _in_order(own, reading.kind.order)
    found = node.found
    tensors = {
        local: _tensor(local, tensor, node, reading, within.ties, owner, means, redrawn)
        for local, tensor in own.items()
    }
    layers = {
        name: None
        if child.found is not None and child.found.absent
        else _layer(child, within, _owner_of(name, node, reading, owner), redrawn=redrawn)
        for name, child in node.children.items()
    }
    signature = reading.signature
    if isinstance(reading.kind, Holder):
        signature = reading.kind.text(Hypers(reading.hypers), tensors, layers)
    return Layer._of(
        path=node.path,
        kind=reading.name,
        kind_status=reading.status,
        hyperparameters=dict(reading.hypers),  # the reading's own are other layers' too
        purpose=means,
        same_as=found.same_as if found else None,
        _signature=signature,
        _tensors=tensors,
        _layers=layers,
        _describe=found.describe if found else None,
        _say=found.say if found else None,
        _identity=found.identity if found else None,
    )


def _in_order(own: dict[str, FoundTensor], order: tuple[str, ...]) -> dict[str, FoundTensor]:
    """Undo the order of a format that sorts by name: weight before bias."""
    rank = {name: i for i, name in enumerate(order)}
    return dict(sorted(own.items(), key=lambda item: rank.get(item[0], len(rank))))


def _owner_of(name: str, parent: Node, reading: Reading, owner: Owner | None) -> Owner | None:
    """Pass the parametrized layer's reading down ``X.parametrizations.weight``."""
    if name == "parametrizations":
        return Owner(reading, "")
    if owner is not None and parent.path.rpartition(".")[2] == "parametrizations":
        return Owner(owner.reading, name)
    return None


def _tensor(
    local: str,
    found: FoundTensor,
    node: Node,
    reading: Reading,
    ties: Mapping[str, str],
    owner: Owner | None,
    means: str,
    redrawn: bool,  # noqa: FBT001 - called by place for every tensor
) -> Tensor:
    values = found.values
    shape, dtype = values.shape, values.dtype
    if owner is None and found.role is not None:
        key = (
            local,
            shape,
            dtype.name,
            found.role,
            found.learnable,
            found.packed,
            found.device,
            found.part,
            means,
            redrawn,
        )
        form = reading.forms.get(key)
        if form is None:
            form = form_of(local, found, shape, node, reading, owner, means, redrawn=redrawn)
            reading.forms[key] = form
    else:
        # A role is inferred from what lies beside, and what a parametrization keeps means what
        # its owner says: both differ between layers made alike.
        form = form_of(local, found, shape, node, reading, owner, means, redrawn=redrawn)
    return (Parameter if form.role == "parameter" else Tensor)(
        found.name,
        values,
        form,
        node.path,
        ties.get(found.name),
        found.quantization,
        found.identity,
    )


def _packed_together(own: dict[str, FoundTensor]) -> dict[str, FoundTensor]:
    """Mark quantized tensors as packed, and the bias with its weight, as a live layer has it.

    A role that the source states stays: a user may keep a quantized tensor as a plain buffer.
    """
    told = {name: t for name, t in own.items() if t.role is None}  # the rest the source says
    packed = {name for name, t in told.items() if t.values.dtype.family == "quantized"}
    if not packed:
        return own
    if "weight" in packed and "bias" in told:
        packed.add("bias")
    return {name: _as_packed(t) if name in packed else t for name, t in own.items()}


def _as_packed(tensor: FoundTensor) -> FoundTensor:
    return FoundTensor(
        name=tensor.name,
        values=tensor.values,
        role="other",
        learnable=False,
        identity=tensor.identity,
        quantization=tensor.quantization,
        packed=True,
        device=tensor.device,
    )


def _loose(found: FoundTensor, ties: Mapping[str, str]) -> Tensor:
    """A tensor that is not the network's: optimizer state, or something saved beside it."""
    shape = found.values.shape
    return Tensor(
        name=found.name,
        values=found.values,
        _form=Form(
            role=found.role or "other",
            dtype=found.values.dtype,
            shape=shape,
            learnable=False,
            learnable_status="inferred",
            axes=tuple(Axis("?", size) for size in shape or ()),
        ),
        tied_to=ties.get(found.name),
        quantization=found.quantization,
        identity=found.identity,
    )
