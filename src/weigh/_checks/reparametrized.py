"""The rule ``parametrization-left-on``: weights that are computed anew at every use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.live_walk import modules, own, table, untouched
from weigh._checks.rule import Limits
from weigh._checks.subject import Subject

_NAMED = 20
_OLD = {
    "WeightNorm": ("weight_norm", "torch.nn.utils.remove_weight_norm(layer, {!r})."),
    "SpectralNorm": ("spectral_norm", "torch.nn.utils.remove_spectral_norm(layer, {!r})."),
}


@untouched
def parametrization_left_on(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parametrizations, weight normalisations and pruning masks that are still on."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path, module in modules(subject.module):
        for name, what, do in _reparametrized(module):
            found.setdefault(what, []).append((f"{path}.{name}" if path else name, do))
    for what, places in found.items():
        if len(places) > limits["places"]:
            yield Finding(
                "",
                f"{len(places):,} weights are computed by {what} at every use",
                {"by": what, "count": len(places), "names": [p for p, _ in places[:_NAMED]]},
                do=f"For each layer: {places[0][1]}",
            )
            continue
        for where, do in places:
            yield Finding(
                where,
                f"it is computed by {what} at every use",
                {"by": what, "count": 1, "names": [where]},
                do=do,
            )


def _reparametrized(module: Any) -> Iterator[tuple[str, str, str]]:
    """Give the weights of a layer that are computed: name, by what, and how to end that."""
    found = table(module, "_modules").get("parametrizations")
    if found is not None and type(module).__name__.startswith("Parametrized"):
        for name, chain in table(found, "_modules").items():
            kinds = [type(one).__name__.strip("_") for one in table(chain, "_modules").values()]
            yield (
                name,
                f"the parametrization {' and '.join(kinds)}",
                f"torch.nn.utils.parametrize.remove_parametrizations(layer, {name!r}).",
            )
    hooks = own(module).get("_forward_pre_hooks")
    for hook in list(hooks.values()) if isinstance(hooks, dict) else ():
        home = str(type(hook).__module__)
        # One may prune by a class of one's own.
        pruned = any(k.__module__ == "torch.nn.utils.prune" for k in type(hook).__mro__)
        if not pruned and not home.startswith("torch.nn.utils."):
            continue
        name = str(own(hook).get("_tensor_name" if pruned else "name", "weight"))
        if pruned:
            yield name, "a pruning mask", f"torch.nn.utils.prune.remove(layer, {name!r})."
        elif type(hook).__name__ in _OLD:
            what, do = _OLD[type(hook).__name__]
            yield name, what, do.format(name)
