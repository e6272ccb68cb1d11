"""The rule ``lost-parameter``: what a module keeps where ``nn.Module`` does not look for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weigh._checks.finding import Finding, Severity, Unsure
from weigh._checks.graph import Leaves, leaves
from weigh._checks.live_walk import count_of, shape_of, stepped, untouched
from weigh._checks.owners import owned_by_modules
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.stray_walk import Stray, Walk, is_parameter
from weigh._checks.subject import Subject

_NAMED = 20
_OBJECTS, _DEPTH = 100_000, 12


@untouched
def lost_parameter(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters and modules that a module holds without having registered them."""
    walk = Walk(subject.module, int(limits["objects"]), int(limits["depth"]))
    used = None if subject.loss is None else leaves(subject.loss)
    told: set[int] = set()
    groups: dict[tuple[str, str], list[Stray]] = {}
    doubtful: set[str] = set()
    for stray in walk.strays():
        if stray.sort == "made":
            told |= set(leaves(stray.thing).tensors)
            doubtful.add(_path(stray))
        else:
            groups.setdefault((stray.holder, stray.attribute), []).append(stray)
    for place in sorted(doubtful):
        yield Unsure(
            place,
            "it was computed from a tensor that requires a gradient: a parameter that was lost, "
            "or a value that is kept",
        )
    for group in groups.values():
        tensors = walk.tensors_of(group)
        told |= {id(tensor) for tensor in tensors}
        for stray in group:
            if stray.sort == "converted":
                told |= set(leaves(stray.thing).tensors)
        yield _finding(group, tensors, used)
    if walk.stopped:
        yield Unsure("", walk.stopped)
    if used is not None:
        yield from _in_graph(subject, used, walk.registered | told)


def lost_tensors(module: Any) -> set[int]:
    """Give the identities of the tensors that a module holds and has not registered."""
    walk = Walk(module, _OBJECTS, _DEPTH)
    return {id(tensor) for tensor in walk.tensors_of(walk.strays())}


def _in_graph(subject: Subject, used: Leaves, known: set[int]) -> Iterator[Finding | Unsure]:
    """Tell of the tensors that a loss depends on and that were found nowhere."""
    known = known | {id(tensor) for tensor in stepped(subject.optimizer)}
    foreign = [tensor for key, tensor in used.tensors.items() if key not in known]
    rest = [one for one in foreign if not is_parameter(one)]
    unknown = [one for one in foreign if is_parameter(one)]
    elsewhere = owned_by_modules(unknown)
    lost = [one for one in unknown if id(one) not in elsewhere]
    others = [one for one in unknown if id(one) in elsewhere]
    if lost:
        yield Finding(
            "",
            f"the loss depends on {_some(lost, 'Parameter')} that no module holds: lost in a "
            "closure, a list or a global",
            {
                "found": "graph",
                "parameters": len(lost),
                "values": sum(map(count_of, lost)),
                "shapes": [list(shape_of(tensor)) for tensor in lost[:_NAMED]],
            },
            severity="warning",
        )
    if others:
        yield Unsure(
            "",
            f"the loss depends on {_some(others, 'Parameter')} of modules that it does not hold: "
            "another network, or a layer that was lost in a closure or a global",
        )
    if rest:
        yield Unsure(
            "",
            f"the loss depends on {_some(rest, 'tensor')} with requires_grad, no Parameter: an "
            "input, or a parameter that was lost",
        )


def _some(tensors: list[Any], noun: str) -> str:
    """Say how many tensors there are, and how many values they have.

    Examples:
        >>> _some([], "tensor")
        '0 tensors (0 values)'
    """
    count = sum(map(count_of, tensors))
    several = "" if len(tensors) == 1 else "s"
    return f"{len(tensors):,} {noun}{several} ({count:,} value{'' if count == 1 else 's'})"


def _path(stray: Stray) -> str:
    return f"{stray.holder}.{stray.attribute}" if stray.holder else stray.attribute


def _finding(group: list[Stray], tensors: list[Any], used: Leaves | None) -> Finding:
    first, many = group[0], len(group) > 1
    count = sum(map(count_of, tensors))
    inside = "" if first.kept_in == "module" else f" in a {first.kept_in}"
    evidence: dict[str, object] = {
        "found": "attributes",
        "places": [stray.place for stray in group[:_NAMED]],
        "kinds": sorted({type(stray.thing).__name__ for stray in group}),
        "parameters": len(tensors),
        "values": count,
    }
    if used is not None:
        behind = set(used.tensors)
        evidence["used"] = any(
            id(tensor) in behind or behind.intersection(leaves(tensor).tensors)
            for tensor in tensors
        )
    if first.sort == "modes" and not tensors:
        message = f"{_noun(group)}{inside} {'do' if many else 'does'} not follow train() and eval()"
    elif first.sort == "buffer":
        message = f"a buffer of {count:,} values requires a gradient and is not in parameters()"
    else:
        verb = "are" if many else "is"
        values = "1 value" if count == 1 else f"{count:,} values"
        message = f"{_noun(group)}{inside}, with {values}, {verb} not registered"
    return Finding(
        _path(first), message, evidence, severity=_severity(group, evidence), do=_advice(first)
    )


def _severity(group: list[Stray], evidence: dict[str, object]) -> Severity | None:
    """Say how bad it is: less so where nothing shows that it is meant to learn."""
    if all(stray.sort in ("tensor", "modes", "buffer") for stray in group):
        return "warning"  # a tensor that requires a gradient may be an input that is kept
    return "warning" if evidence.get("used") is False else None


def _noun(group: list[Stray]) -> str:
    """Say what was found, and how much of it."""
    modules = [stray.thing for stray in group if stray.sort in ("module", "modes")]
    if modules:
        kinds = ", ".join(sorted({type(module).__name__ for module in modules})[:3])
        return f"{len(modules):,} {'module' if len(modules) == 1 else 'modules'} ({kinds})"
    one = len(group) == 1
    if group[0].sort == "parameter":
        return "a Parameter" if one else f"{len(group):,} Parameters"
    if group[0].sort == "converted":
        return "what was made of a Parameter" if one else f"{len(group):,} made of Parameters"
    return (
        "a tensor that requires a gradient"
        if one
        else f"{len(group):,} tensors that require a gradient"
    )


def _advice(stray: Stray) -> str:
    module = stray.sort in ("module", "modes")
    kind = "Module" if module else "Parameter"
    if stray.sort == "buffer":
        return "Register it as an nn.Parameter, or let it require no gradient."
    if stray.sort == "converted":
        return "Convert the tensor first: nn.Parameter(tensor.to(...)); what .to() gives is none."
    if stray.sort == "tensor" and stray.kept_in == "module":
        return "Make it an nn.Parameter; if it is an input that is kept, detach() it."
    if stray.kept_in in ("list", "tuple", "deque", "set", "frozenset"):
        return f"Keep it in an nn.{kind}List."
    if stray.kept_in == "dict":
        return f"Keep it in an nn.{kind}Dict."
    if stray.kept_in == "class":
        return "Assign it to self in __init__; an attribute of the class is not registered."
    return f"Make it an attribute of the module itself, or register it (nn.{kind}List)."


RULES: tuple[Rule, ...] = (
    Rule(
        "lost-parameter",
        "parameters that the module holds and nn.Module does not know of",
        lost_parameter,
        severity="error",
        needs=("module",),
        why="They are not in parameters(), not in the state_dict, not moved by .to(), not trained.",
        do="Register it: assign it as an attribute, or keep it in an nn.ModuleList or the like.",
        limits={
            "objects": Limit(_OBJECTS, "objects that are looked at in all attributes"),
            "depth": Limit(_DEPTH, "containers and objects within each other that are looked into"),
        },
    ),
)
