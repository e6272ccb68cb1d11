"""From what a source states to the network Weigh shows: the tree, its kinds and axes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from weigh._facts import Facts, FoundClass, FoundLayer, FoundTensor, Role
from weigh._formula import disagrees
from weigh._kinds.holders import Holder
from weigh._kinds.kind import Hypers, Kind, Shape, xavier_uniform
from weigh._kinds.llama_cpp import states_rms_norms
from weigh._kinds.loose import completed, stated_hyperparameters, stated_kind
from weigh._kinds.names import looks_fused, role_by_name
from weigh._kinds.neighbours import BRANCH, Neighbours
from weigh._kinds.purpose import purpose
from weigh._kinds.quantized import Packing, companion_split, packing
from weigh._kinds.recognise import recognise
from weigh._kinds.survey import STAND_INS, survey
from weigh._kinds.table import find
from weigh._model import Axis, Hyperparameter, Layer, Network, Parameter, Status, Tensor
from weigh._record import field, record
from weigh._tensor import Form

_TRANSFORMER = "torch.nn.modules.transformer.Transformer"
"""When it has made its layers, it draws all their parameters of two axes or more again."""

_MAX_DEPTH = 64
"""Names with more dots than this keep the rest in one piece: the tree is walked recursively."""


@record()
class _Node:
    """A place in the tree while it is being built."""

    path: str
    found: FoundLayer | None = None
    own: dict[str, FoundTensor] = field(default_factory=dict)
    children: dict[str, _Node] = field(default_factory=dict)


@record()
class _Reading:
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


_READ: dict[Hashable, _Reading] = {}
"""The readings of stated layers by everything stated of them: plain values, of no one network."""

_MOST_READ = 4096


@record(frozen=True)
class _Context:
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


@record()
class _Owner:
    """The layer whose weight a parametrization (weight_norm) computes from its own tensors."""

    reading: _Reading
    local: str


def interpret(facts: Facts) -> Network:
    """Join a source's facts with what kinds of layer mean.

    Everything the source states stays stated; what is added is marked inferred.
    """
    within = _Context(
        near=_survey(facts),
        ties=_ties(facts.tensors),
        ordered=facts.ordered,
        quantized=any(t.values.dtype.family == "quantized" for t in facts.tensors),
        keras=facts.format in ("keras", "hdf5"),
    )
    top = _layer(_tree(facts), within, None, redrawn=False)
    others = tuple(_loose(t, within.ties) for t in facts.tensors if not _in_tree(t))
    return Network(
        **{name: getattr(top, name) for name in Layer.__match_args__},
        format=facts.format,
        location=facts.location,
        ordered=facts.ordered,
        metadata=facts.metadata,
        notes=facts.notes,
        accounts=facts.accounts,
        _others=others,
    )


def _in_tree(tensor: FoundTensor) -> bool:
    return tensor.role not in ("optimizer", "other") or tensor.packed


def _tree(facts: Facts) -> _Node:
    """Arrange layers and tensors as a tree."""
    root = _Node("")
    nodes: dict[str, _Node] = {"": root}
    placed: list[_Node] = []
    for layer in facts.layers:
        if layer.parent is not None:
            node = _Node(layer.path, layer)
            above = placed[layer.parent]
            above.children[_own_name(layer.path, above.path)] = node
        else:
            node = _place(root, nodes, layer.path) if layer.path else root
            node.found = layer
        placed.append(node)
    stated = any(layer.path for layer in facts.layers)
    for tensor in facts.tensors:
        if tensor.layer is not None:
            node = placed[tensor.layer]
            node.own[_own_name(tensor.name, node.path)] = tensor
            continue
        if not _in_tree(tensor):
            continue
        path, local = _split(tensor.name, nodes, stated=stated)
        _place(root, nodes, path).own[local] = tensor
    if not facts.ordered:
        for node in nodes.values():
            _put_in_order(node)
    return root


def _own_name(name: str, above: str) -> str:
    """Take what a full name adds to that of the layer above, if it is one below it."""
    return name.removeprefix(f"{above}.") if above else name


def _split(name: str, nodes: Mapping[str, _Node], *, stated: bool) -> tuple[str, str]:
    """Split a tensor's name into its layer's path and its own name."""
    if not stated and (companion := companion_split(name)) is not None:
        return companion
    path, _, local = name.rpartition(".")
    if name.startswith("."):  # the path of a layer without a name would be the network's
        return "", name
    if stated:
        # The deepest layer that the source names; a ParameterDict's keys may hold dots.
        at = path
        while at and at not in nodes:
            at = at.rpartition(".")[0]
        return (at, name[len(at) + 1 :]) if at else ("", name)
    return path, local


def _place(root: _Node, nodes: dict[str, _Node], path: str) -> _Node:
    """Find or make the node of a path."""
    if path in nodes:
        return nodes[path]
    node, at = root, ""
    for part in path.split(".", _MAX_DEPTH):
        at = part if node is root else f"{at}.{part}"
        if part not in node.children:
            made = _Node(at)
            # A child without a name shares its path with the root, and is not the root.
            node.children[part] = nodes.setdefault(at, made) if at else made
        node = node.children[part]
    nodes[path] = node
    return node


def _put_in_order(node: _Node) -> None:
    """Undo the order of a format that sorts by name, or by type and then by name.

    Numbered layers go by their numbers, and a branch around layers comes after them.
    """
    if len(node.children) > 1 and all(name.isdecimal() for name in node.children):
        node.children = dict(sorted(node.children.items(), key=lambda item: int(item[0])))
    elif any(BRANCH.search(name) for name in node.children):
        last = sorted(node.children.items(), key=lambda item: BRANCH.search(item[0]) is not None)
        node.children = dict(last)


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
    shapes = ((t.name, t.values.shape) for t in facts.tensors if _in_tree(t))
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


def _layer(node: _Node, within: _Context, owner: _Owner | None, *, redrawn: bool) -> Layer:
    reading = _read_kind(node, within)
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


def _owner_of(name: str, parent: _Node, reading: _Reading, owner: _Owner | None) -> _Owner | None:
    """Pass the parametrized layer's reading down ``X.parametrizations.weight``."""
    if name == "parametrizations":
        return _Owner(reading, "")
    if owner is not None and parent.path.rpartition(".")[2] == "parametrizations":
        return _Owner(owner.reading, name)
    return None


def _read_kind(node: _Node, within: _Context) -> _Reading:
    found = node.found
    if found is not None and found.kind is not None:
        reading = _stated(found)
        loose = found.made_by is not None and found.made_by.loose
        return _completed(reading, node, within) if loose and node.own else reading
    packed = packing(node.own)
    guess = _guess(node, packed, within)
    if guess is None:
        return _Reading(None, "?", "unknown", {}, packing=packed)
    kind, values = guess
    hypers = kind.hyperparameters(values, "inferred", {})
    return _Reading(kind, kind.name, "inferred", hypers, kind.signature(Hypers(hypers)), packed)


def _completed(reading: _Reading, node: _Node, within: _Context) -> _Reading:
    """Work out what a file that states a layer's class does not say of it."""
    kind = reading.kind
    if kind is not None and all(h.status != "unknown" for h in reading.hypers.values()):
        return reading
    shapes = {name: t.values.shape for name, t in node.own.items() if t.values.shape is not None}
    guess = _guess(node, packing(node.own), within)
    kind, hypers = completed(kind, reading.hypers, guess, shapes)
    # What a class of the user's prints, nobody says.
    signature = kind.signature(Hypers(hypers)) if kind and reading.kind else ""
    return _Reading(kind, reading.name, "stated", hypers, signature)


def _guess(
    node: _Node, packed: Packing | None, within: _Context
) -> tuple[Kind, dict[str, object]] | None:
    """Guess a layer's kind from what it holds."""
    if packed is not None and packed.kind is not None:
        return packed.kind, packed.values
    if packed is not None and "weight.absmax" in packed.buffers:
        return None  # the shape of a flattened weight says nothing
    shapes = {
        name: tensor.values.shape
        for name, tensor in _with_originals(node).items()
        if tensor.values.shape is not None
    }
    children = [name for name, child in node.children.items() if _holds_tensors(child)]
    if not shapes:
        return None
    # Keras and Flax call what they learn alike, and lay it out alike.
    found = None
    if within.keras:
        from weigh._kinds.keras import guess  # most networks are not Keras's

        found = guess(node.path, shapes)
    return found or recognise(node.path, shapes, within.near, children)


def _holds_tensors(node: _Node) -> bool:
    """Whether there is a tensor in or below a node; only some sources list layers without."""
    below = [node]
    while below:
        one = below.pop()
        if one.own:
            return True
        below.extend(one.children.values())
    return False


def _with_originals(node: _Node) -> dict[str, FoundTensor]:
    """Give a layer's own tensors and those that its parametrizations keep for it."""
    own = dict(node.own)
    below = node.children.get("parametrizations")
    for name, child in below.children.items() if below else ():
        for local, tensor in child.own.items():
            own[f"parametrizations.{name}.{local}"] = tensor
    return {name: t for name, t in own.items() if name in STAND_INS or "parametr" not in name}


def _stated(found: FoundLayer) -> _Reading:
    """Read a stated layer; layers that were made alike share one reading."""
    # The arguments as text, for True equals 1 but is not printed like it.
    made = (found.kind, found.made_by, repr(found.attributes), looks_fused(found.path))
    reading = _READ.get(made)
    if reading is None:
        if len(_READ) >= _MOST_READ:
            _READ.clear()
        reading = _READ[made] = _read_stated(found)
    return reading


def _read_stated(found: FoundLayer) -> _Reading:
    made_by = found.made_by or FoundClass("")
    kind, printed = stated_kind(made_by)
    if kind is not None and kind.name in ("Linear", "Conv1D") and looks_fused(found.path):
        kind = find(f"Fused{kind.name}")
    hypers = stated_hyperparameters(kind, made_by, found.attributes)
    return _Reading(
        kind,
        printed or found.kind or "?",
        "stated",
        hypers,
        (kind or Kind()).signature(Hypers(hypers)),
        redraws=_TRANSFORMER in (made_by.path, *made_by.bases),
    )


def _tensor(
    local: str,
    found: FoundTensor,
    node: _Node,
    reading: _Reading,
    ties: Mapping[str, str],
    owner: _Owner | None,
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
            form = _form(local, found, shape, node, reading, owner, means, redrawn=redrawn)
            reading.forms[key] = form
    else:
        # A role is inferred from what lies beside, and what a parametrization keeps means what
        # its owner says: both differ between layers made alike.
        form = _form(local, found, shape, node, reading, owner, means, redrawn=redrawn)
    return (Parameter if form.role == "parameter" else Tensor)(
        found.name,
        values,
        form,
        node.path,
        ties.get(found.name),
        found.quantization,
        found.identity,
    )


def _form(
    local: str,
    found: FoundTensor,
    shape: Shape | None,
    node: _Node,
    reading: _Reading,
    owner: _Owner | None,
    means: str,
    *,
    redrawn: bool,
) -> Form:
    dtype, rank = found.values.dtype, None if shape is None else len(shape)
    packed = reading.packing or Packing()
    role = found.role or _role_in_packing(local, packed)
    if role is None and reading.kind is not None and reading.kind.frozen:
        role = "buffer"
    below = node.children
    role = role or role_by_name(local, dtype, rank, node.own, f".{node.path}", shape, below)
    learnable = found.learnable
    # Blocks of quantized values were learned as other numbers: whether they still are, nobody says.
    if learnable is None and role == "parameter" and dtype.family != "blocks":
        learnable = dtype.learnable
    kind, hypers = reading.kind, Hypers(reading.hypers)
    # A magnitude or a mask has the weight's axes, but no output is computed from it alone.
    called = found.part or local
    meant = called if called.endswith(("_g", "_mask")) else _stands_for(called)
    axes = _axes(called, shape, reading, owner)
    is_packed = found.packed or local in packed.per_element
    starts = None
    if shape and not is_packed and not _is_replaced(axes, reading):
        if redrawn and owner is None and role == "parameter" and len(shape) > 1:
            starts = xavier_uniform(shape)
        elif kind is not None and all(axis.name != "?" for axis in axes):
            starts = kind.initial(called, shape, hypers)
    return Form(
        role=role,
        dtype=dtype,
        shape=shape,
        role_status="stated" if found.role else "inferred",
        learnable=False if role == "buffer" or local in packed.per_element else learnable,
        learnable_status="stated" if found.learnable is not None else "inferred",
        axes=axes,
        purpose=means,
        fan_in=_fan_in(local, meant, shape, reading, owner) if shape else None,
        initial=starts,
        packed=is_packed,
        per_element=packed.per_element.get(local, 1),
        device=found.device,
    )


def _fan_in(
    local: str, meant: str, shape: Shape, reading: _Reading, owner: _Owner | None
) -> int | None:
    """Count the inputs of each output; a parametrization's tensor stands for its owner's."""
    if owner is not None and owner.local and local in ("original", "original1"):
        reading, meant = owner.reading, owner.local
    kind = reading.kind
    return kind.fan_in(meant, shape, Hypers(reading.hypers)) if kind else None


def _is_replaced(axes: tuple[Axis, ...], reading: _Reading) -> bool:
    """Whether a tensor has not the size that its layer's numbers give: it came in later."""
    return any(disagrees(axis.formula, axis.size, reading.hypers) for axis in axes)


def _role_in_packing(local: str, packed: Packing) -> Role | None:
    if local in packed.per_element:
        return "other"
    return "buffer" if local in packed.buffers else None


def _stands_for(local: str) -> str:
    """Tell which tensor of the layer a stand-in (``weight_v``, ``bias_mask``) is for."""
    # An attention's bias_v is its own: weight_norm keeps no bias.
    endings = ("_orig", "_mask", "_v", "_g") if local.startswith("weight_") else ("_orig", "_mask")
    for ending in endings:
        if local.endswith(ending) and local.removesuffix(ending) in ("weight", "bias"):
            return local.removesuffix(ending)
    return local


def _axes(
    local: str, shape: Shape | None, reading: _Reading, owner: _Owner | None
) -> tuple[Axis, ...]:
    """Name the axes of a tensor; ``?`` where its layer's kind does not know it."""
    magnitude = local == ("weight_g" if owner is None else "original0")
    if owner is not None and owner.local:
        reading, local = owner.reading, owner.local
    local = _stands_for(local)
    kind, hypers = reading.kind, Hypers(reading.hypers)
    if shape is None:
        words = _any_rank(kind, local, hypers)
        return tuple(Axis(name, None, meaning, formula) for name, meaning, formula in words)
    named = kind.axes(local, len(shape), hypers) if kind else None
    if named is None:
        return tuple(Axis("?", size) for size in shape)
    return tuple(
        # A magnitude of weight_norm keeps the rank, with axes of one position.
        Axis(name, 1, "one magnitude for all of it", "1")
        if magnitude and size == 1
        else Axis(name, size, meaning, formula)
        for (name, meaning, formula), size in zip(named, shape, strict=True)
    )


def _any_rank(kind: Kind | None, local: str, hypers: Hypers) -> tuple[tuple[str, str, str], ...]:
    """Name the axes of a tensor that has no shape yet."""
    for rank in range(1, 6):
        words = kind.axes(local, rank, hypers) if kind else None
        if words is not None:
            return words
    return ()


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
