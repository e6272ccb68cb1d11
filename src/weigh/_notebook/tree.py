"""A network or a layer as HTML: its tree, folded, each layer with its numbers and its tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from weigh._counts import Counts
from weigh._errors import without_secrets
from weigh._model import Hyperparameter, Layer, Network, Tensor
from weigh._notebook.branch import Branch, branch_of
from weigh._record import field, record
from weigh._views.document import Note
from weigh._views.html import render_html, safe
from weigh._views.show import axes_text, notes_of, number, role_text, totals_table

ROOM = 500_000
"""So many letters a tree may have."""
_LEAST = 200
"""What a layer's row takes besides what it says."""
_OPEN = 12
"""Up to so many layers are open from the start, below the first."""


def layer_html(layer: Layer, printed: str) -> str:
    """Show a network or a layer, without reading any values.

    Args:
        layer: what is shown.
        printed: what it is printed as.
    """
    root = branch_of(layer)
    grown = _grow(root)
    network = layer if isinstance(layer, Network) else None
    counts = network.counts if network is not None else Counts.of(layer.tensors())
    made = [_head(layer, counts)]
    opened = sum(1 for _ in layer.named_modules()) <= _OPEN or network is None
    made.append(f'<ul class="weigh-tree">{"".join(_lines(grown, opened=opened))}</ul>')
    made += _legend(layer)
    left = _left_out(grown)
    if left:
        made.append(_cut(left, root.rows, network=network is not None))
    title = "Totals" if network is not None else "Totals of this layer"
    totals = render_html((totals_table(counts),))
    made.append(f'<details class="weigh-more"><summary>{title}</summary>{totals}</details>')
    if network is not None:
        notes = notes_of(network, counts, printed)
        made.append(render_html(tuple(map(Note, notes))))
    return "\n".join(made)


@record()
class _Grown:
    """A branch and what of it there is room for.

    Attributes:
        branch: the branch.
        head: its row.
        tensors: the rows of its tensors that are shown.
        children: the branches below it that are shown.
        left: how many layers and tensors right in it are left out, with all that is below those.
    """

    branch: Branch
    head: str
    tensors: list[str] = field(default_factory=list)
    children: list[_Grown] = field(default_factory=list)
    left: int = 0


def _grow(root: Branch) -> _Grown:
    """Take what there is room for, the upper layers first, so that a cut spares the outline."""
    top = _Grown(root, "")
    room = ROOM
    waiting = deque([top])
    while waiting:
        grown = waiting.popleft()
        for name, tensor, times in grown.branch.tensors:
            row = _tensor_row(name, tensor, times)
            room -= len(row)
            if room < 0:
                grown.left += times
            else:
                grown.tensors.append(row)
        for child in grown.branch.children:
            head = _layer_row(child)
            room -= len(head) + _LEAST
            if room < 0:
                grown.left += child.times * (child.rows + 1)
            else:
                grown.children.append(_Grown(child, head))
                waiting.append(grown.children[-1])
    return top


def _left_out(grown: _Grown) -> int:
    """Count the layers and tensors that are left out, each of a folded run."""
    below = sum(_left_out(child) for child in grown.children)
    return grown.branch.times * (grown.left + grown.branch.deeper + below)


def _lines(grown: _Grown, *, opened: bool, depth: int = 0) -> Iterator[str]:
    """Write what is in a branch: its hyperparameters, its tensors, its layers."""
    layer = grown.branch.layer
    if layer is not None and layer.hyperparameters:
        yield f'<li class="weigh-hypers">{_hypers(layer)}</li>'
    yield from grown.tensors
    for child in grown.children:
        below = child.branch
        if not (child.tensors or child.children or child.left or below.deeper) and not (
            below.layer is not None and below.layer.hyperparameters
        ):
            yield f'<li class="weigh-leaf">{child.head}</li>'
            continue
        state = " open" if opened and below.children and below.layer is not None else ""
        yield f'<li><details{state}><summary>{child.head}</summary><ul class="weigh-tree">'
        yield from _lines(child, opened=opened and depth < 2, depth=depth + 1)
        yield "</ul></details></li>"
    missing = grown.left + grown.branch.deeper
    if missing:
        yield f'<li class="weigh-cut">… {_rows(missing)} not shown</li>'


def _head(layer: Layer, counts: Counts) -> str:
    """The first lines: what it is, where it is from, how large it is."""
    facts = []
    if isinstance(layer, Network):
        name = layer.kind if layer.kind != "?" else "Network"
        what = "live module" if layer.format == "live" else layer.format
        facts.append(f'<span class="weigh-badge">{safe(what)}</span>')
        if layer.location and layer.location != name:
            facts.append(f'<span class="weigh-mono">{safe(without_secrets(layer.location))}</span>')
    else:
        name = layer.path or layer.kind
        facts.append(f'<span class="weigh-mono">{_signature(layer)}</span>{_mark(layer)}')
        if layer.purpose:
            facts.append(f"<span>{safe(layer.purpose)}</span>")
    least = "at least " if counts.at_least else ""
    layers = sum(1 for _ in layer.named_modules()) - 1
    facts += [f"<span>{layers:,} {'layer' if layers == 1 else 'layers'}</span>"] if layers else []
    facts.append(
        f"<span>{counts.tensors:,} {'tensor' if counts.tensors == 1 else 'tensors'}</span>"
    )
    facts.append(f"<span><b>{least}{counts.parameters:,}</b> parameters</span>")
    return (
        f'<div class="weigh-head"><span class="weigh-title">{safe(name)}</span> '
        f"{' '.join(facts)}</div>"
    )


def _layer_row(branch: Branch) -> str:
    name = f'<span class="weigh-name">{safe(branch.name) or "(no name)"}</span>'
    if branch.times > 1:
        name += f' <span class="weigh-times">{branch.times:,} ×</span>'
    layer = branch.layer
    if layer is None:
        said = "tensors" if branch.rows else "None"
        return f'{name} <span class="weigh-dim">{said}</span>'
    made = [name, f'<span class="weigh-mono">{_signature(layer)}</span>{_mark(layer)}']
    if layer.same_as is not None:
        made.append(f'<span class="weigh-dim">the same layer as {safe(layer.same_as)}</span>')
    if branch.parameters:
        each = " each" if branch.times > 1 else ""
        made.append(f'<span class="weigh-count">{branch.parameters:,}{each}</span>')
    return " ".join(made)


def _signature(layer: Layer) -> str:
    """Write a layer's kind with its arguments as PyTorch prints them, without what it holds."""
    kind = f'<b class="weigh-kind">{safe(layer.kind)}</b>'
    own = layer._signature
    if not layer._layers:
        try:
            line = repr(layer)
        except Exception:  # a user's __repr__ may raise anything
            line = ""
        head, opening, rest = line.partition("(")
        if opening and head == layer.kind and rest.endswith(")"):
            own = rest[:-1]
    return f"{kind}({safe(' '.join(own.split()))})" if own else kind


def _mark(layer: Layer) -> str:
    if layer.kind_status == "inferred":
        return ' <span class="weigh-badge weigh-inferred">inferred</span>'
    return ""


def _legend(layer: Layer) -> list[str]:
    """Say what the looks of hyperparameters mean, of those that are there."""
    met = {look: words for below in layer.modules() for one in below.hyperparameters.values()
           for look, words in [_look(one)] if look}  # fmt: skip
    said = [f'<code class="weigh-{look}">{words}</code>' for look, words in sorted(met.items())]
    return [f'<p class="weigh-note weigh-legend">{" ".join(said)}</p>'] if said else []


def _look(one: Hyperparameter) -> tuple[str, str]:
    """Say how it is known, by a look and in words; what is stated and given goes without."""
    if one.status == "unknown":
        return "unknown", "?: the source does not say"
    if one.status == "inferred":
        return "inferred", "underlined: inferred from names and shapes"
    return ("default", "grey: the constructor's default") if one.origin == "default" else ("", "")


def _hypers(layer: Layer) -> str:
    return " ".join(_hyper(one) for one in layer.hyperparameters.values())


def _hyper(one: Hyperparameter) -> str:
    look, words = _look(one)
    marks = f' class="weigh-{look}" title="{safe(words)}"' if look else ""
    return f"<code{marks}>{safe(str(one))}</code>"


def _tensor_row(name: str, tensor: Tensor, times: int) -> str:
    axes = axes_text(tensor.axes) if tensor.shape is not None else "shape not known yet"
    tied = f" tied to {tensor.tied_to}" if tensor.tied_to else ""
    role = role_text(tensor)
    many = f' <span class="weigh-times">{times:,} ×</span>' if times > 1 else ""
    return (
        f'<li class="weigh-tensor weigh-role-{role}"><span class="weigh-name">{safe(name)}</span>'
        f'{many} <span class="weigh-axes">{safe(axes)}</span> '
        f'<span class="weigh-dim">{safe(tensor.dtype.name)} {role}{safe(tied)}</span> '
        f'<span class="weigh-count">{number(tensor.count)}</span></li>'
    )


def _cut(left: int, every: int, *, network: bool) -> str:
    how = "weigh.show(network)" if network else "weigh.show(network, 'the.layer')"
    return (
        f'<p class="weigh-note weigh-cut">{left:,} of {_rows(every)} are left out here; '
        f"<code>{how}</code> prints every row, and <code>network['a.layer']</code> shows "
        "one layer.</p>"
    )


def _rows(count: int) -> str:
    return "1 layer or tensor" if count == 1 else f"{count:,} layers and tensors"
