"""The rule on parameters that an optimizer keeps no state for, in a file and live."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.live_walk import optimizers_of, parameters, stepped
from weigh._checks.rule import Limits
from weigh._checks.subject import Subject
from weigh._errors import WeighError
from weigh._model import Tensor
from weigh._record import record

_NAMED = 20
_STATE = re.compile(r"(?P<of>(?:.*?\.)?state)\.(?P<id>.+)\.(?P<what>[^.]+)")
_COUNT = re.compile(r"(\d[\d,]*) values: ")
Shape = tuple[int, ...]


@record(frozen=True)
class _State:
    """What an optimizer keeps of one parameter.

    Attributes:
        shapes: the shapes of its tensors that are no plain numbers.
        step: how many steps it took; None where that is not kept.
    """

    shapes: tuple[Shape, ...]
    step: float | None = None


def optimizer_hole(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters without optimizer state where others have it."""
    if subject.optimizer is not None:
        yield from _live(subject, limits)
    elif subject.network.accounts is not None:
        for place, states in _states(subject.network.tensors()).items():
            yield from _saved(subject, place, states, limits)


def _live(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Hold a live optimizer's state against the parameters that it was given."""
    names = {id(one.tensor): one.name for one in parameters(subject.module)}
    rows: dict[str, _State | None] = {}
    fits = False
    for optimizer in optimizers_of(subject.optimizer) or ():
        all_kept = getattr(optimizer, "state", {})
        for parameter in stepped(optimizer):
            kept = all_kept.get(parameter)
            if not kept and not parameter.requires_grad:
                continue
            state = _live_state(kept) if kept else None
            fits = fits or (state is not None and tuple(parameter.shape) in state.shapes)
            name = names.get(id(parameter))
            if name is not None:
                rows[name] = state
    # Some keep the state of all with one parameter (L-BFGS), of no parameter's shape.
    if fits:
        yield from _told(rows, limits)


def _live_state(kept: Mapping[str, Any]) -> _State:
    shapes = [tuple(one.shape) for one in kept.values() if _axes(one)]
    step = kept.get("step")
    plain = None if step is None or _axes(step) else float(step)
    return _State(tuple(shapes), plain)


def _axes(thing: Any) -> int:
    """Count the axes of a tensor; a plain number has none."""
    return len(getattr(thing, "shape", ()))


def _states(tensors: Sequence[Tensor]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Give the state tensors of each optimizer in a file: by parameter, then by what they are."""
    found: defaultdict[str, dict[str, dict[str, Tensor]]] = defaultdict(dict)
    for tensor in tensors:
        split = _STATE.fullmatch(tensor.name) if tensor.role == "optimizer" else None
        if split is not None:
            found[split["of"]].setdefault(split["id"], {})[split["what"]] = tensor
    return found


def _saved(
    subject: Subject, place: str, kept: dict[str, dict[str, Tensor]], limits: Limits
) -> Iterator[Finding | Unsure]:
    """Hold the state in a file against the network's parameters."""
    learnable = [t for t in _parameters(subject) if t.learnable is not False]
    if not learnable:
        return
    states = {key: _saved_state(parts) for key, parts in kept.items()}
    named = {tensor.name for tensor in learnable}
    if set(states) <= named:  # distributed checkpoints name the parameters
        yield from _told({t.name: states.get(t.name) for t in learnable}, limits)
        return
    if not all(key.isdecimal() and len(key) < 9 for key in states):
        yield Unsure(place, "its states are named by something that is no parameter")
        return
    numbered = {int(key): state for key, state in states.items()}
    sizes = _group_sizes(subject, place.removesuffix("state"))
    if sizes is None:
        yield Unsure(place, "it does not say how many parameters the optimizer has")
        return
    if sum(sizes) != len(learnable):
        yield Unsure(
            place,
            f"the optimizer has {sum(sizes):,} parameters and the network {len(learnable):,} "
            "learnable ones, so nobody knows which are which",
        )
        return
    order = _order(learnable, sizes, numbered)
    if order is None:
        yield Unsure(
            place,
            "neither the order nor the shapes of its states tell which are of which parameter",
        )
        return
    rows = {t.name: numbered.get(i) for i, t in enumerate(order)}
    yield from _told(rows, limits, " as their order and shapes tell")


def _parameters(subject: Subject) -> list[Tensor]:
    """Give all of the network's parameters, those too that are not looked at."""
    return [
        tensor
        for tensor in subject.network.tensors()
        if tensor.role == "parameter" and tensor.tied_to is None
    ]


def _saved_state(parts: Mapping[str, Tensor]) -> _State:
    shapes = tuple(tensor.shape for tensor in parts.values() if tensor.shape)
    step = None
    if "step" in parts and parts["step"].count == 1:
        try:
            step = float(parts["step"].read().reshape(-1)[0])
        except WeighError:
            step = None
    return _State(shapes, step)


def _group_sizes(subject: Subject, start: str) -> list[int] | None:
    """Give how many parameters each group has; None where the file does not say of all."""
    sizes: list[int] = []
    metadata = subject.network.metadata
    while (text := metadata.get(f"{start}param_groups.{len(sizes)}.params")) is not None:
        counted = _COUNT.match(text)
        if counted:
            sizes.append(int(counted[1].replace(",", "")))
        elif text.startswith("["):
            sizes.append(text.count(",") + 1 if text != "[]" else 0)
        else:
            return None
    # The highest facts alone are kept: a group whose settings are there may lack its list.
    groups = {key.split(".")[0] for key in _after(metadata, f"{start}param_groups.")}
    return sizes if sizes and len(groups) == len(sizes) else None


def _after(metadata: Mapping[str, str], start: str) -> list[str]:
    return [key[len(start) :] for key in metadata if key.startswith(start)]


def _order(
    learnable: Sequence[Tensor], sizes: Sequence[int], states: Mapping[int, _State]
) -> list[Tensor] | None:
    """Find the order in which an optimizer was given the parameters; None where it is not clear.

    With one group it is the network's. With two it may be that of the matrices, which decay, then
    that of the rest; or a part of the network, then the part before it.
    """
    orders = [list(learnable)]
    if len(sizes) > 2:
        return None
    if len(sizes) == 2:
        last = len(learnable) - sizes[0]
        orders.append([*learnable[last:], *learnable[:last]])
        wide = [tensor for tensor in learnable if len(tensor.shape or ()) > 1]
        rest = [tensor for tensor in learnable if len(tensor.shape or ()) <= 1]
        orders += [one for one in ([*wide, *rest], [*rest, *wide]) if _splits(one, sizes, wide)]
    fitting = [order for order in orders if _fits(order, states)]
    different = {tuple(tensor.name for tensor in order) for order in fitting}
    return fitting[0] if len(different) == 1 else None


def _splits(order: Sequence[Tensor], sizes: Sequence[int], wide: Sequence[Tensor]) -> bool:
    first = len(wide) if order and wide and order[0] is wide[0] else len(order) - len(wide)
    return first == sizes[0]


def _fits(order: Sequence[Tensor], states: Mapping[int, _State]) -> bool:
    """Whether the shapes of all states are those of the parameters in an order."""
    shaped = {at: state for at, state in states.items() if state.shapes}
    if not shaped or max(states) >= len(order) or 2 * len(shaped) < len(states):
        return False
    return all(order[at].shape in state.shapes for at, state in shaped.items())


def _told(
    rows: Mapping[str, _State | None], limits: Limits, how: str = ""
) -> Iterator[Finding | Unsure]:
    """Say which parameters have no state, and which took fewer steps than most.

    Args:
        rows: the state of each parameter by name; None where there is none.
        limits: the thresholds.
        how: how it is known which state is whose, to be said.
    """
    empty = [name for name, state in rows.items() if state is None]
    have = len(rows) - len(empty)
    if not have:
        return
    evidence = {"with_state": have, "without_state": len(empty)}
    if len(empty) > limits["most-share"] * len(rows):
        message = f"{len(empty):,} of {len(rows):,} parameters have no optimizer state{how}"
        named = {**evidence, "names": empty[:_NAMED]}
        do = "Nothing, if they are frozen; then do not give them to the optimizer."
        yield Finding("", message, named, "info", do)
    else:
        message = f"it has no optimizer state and was never stepped, and {have:,} others were{how}"
        for name in empty:
            yield Finding(name, message, evidence)
    yield from _lagging(rows, limits)


def _lagging(rows: Mapping[str, _State | None], limits: Limits) -> Iterator[Finding]:
    steps = {name: s.step for name, s in rows.items() if s is not None and s.step is not None}
    if not steps:
        return
    usual = Counter(steps.values()).most_common(1)[0][0]
    for name, step in steps.items():
        if usual - step >= limits["least-lag"]:
            message = f"it took {step:,.0f} steps where most parameters took {usual:,.0f}"
            evidence = {"step": step, "usual_step": usual}
            do = "Look at whether its layer was added or thawed later, or is used at times only."
            yield Finding(name, message, evidence, "info", do)
