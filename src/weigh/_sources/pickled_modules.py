"""Whole modules saved with ``torch.save(network)``, read without the code of their classes.

Such a pickle holds for every module the name of its class and its ``__dict__``: the tables of
parameters, buffers and children that ``torch.nn.Module`` keeps, and beside them whatever its
constructor set, which is how its hyperparameters are known.
"""

from __future__ import annotations

from collections.abc import Iterator

from weigh._facts import Role
from weigh._sources.module_tree import ModuleView, plain_value
from weigh._sources.packed_modules import complete_packed, is_packed_convolution
from weigh._sources.pickled import Call, Global, pairs_of
from weigh._sources.plain_text import key_text
from weigh._sources.torch_storages import class_outside

_TABLES = ("_parameters", "_buffers", "_modules")
_MAX_ATTRIBUTES = 1000


def is_module(thing: object) -> bool:
    """Whether a pickled object is an ``nn.Module``: it has the tables of one."""
    wanted = {"_modules", "_parameters"}
    if wanted <= {name for name, _ in attributes(thing) if name in wanted}:
        return True
    return isinstance(thing, Call) and is_packed_convolution(thing, class_of(thing))


def attributes(thing: object) -> Iterator[tuple[str, object]]:
    """Give what BUILD would set on an object: a dict, or a dict and another for its slots."""
    for state in thing.states if isinstance(thing, Call) else ():
        for part in state if isinstance(state, tuple) else (state,):
            for key, value in pairs_of(part) or ():
                yield key_text(key), value


def class_of(thing: object) -> str:
    """Give the full name of an object's class; empty where it has none."""
    call = thing if isinstance(thing, Call) else Call(None, ())
    given = call.arguments if isinstance(call.arguments, tuple) else ()
    for one in (call.function, *given):
        name = one.path if isinstance(one, Global) else class_outside(one)
        if name and not name.startswith("copyreg"):
            return name
    return ""


def view(thing: Call) -> ModuleView:
    """Tell what one pickled module holds."""
    own = dict(attributes(thing))
    made = ModuleView(class_of(thing))
    tables = {name: _table(made, own, name) for name in _TABLES}
    made.size = len(own) + sum(map(len, tables.values()))
    roles: tuple[tuple[str, Role], ...] = (("_parameters", "parameter"), ("_buffers", "buffer"))
    for name, role in roles:
        made.slots += [(local, role, value) for local, value in tables[name].items()]
    made.children = list(tables["_modules"].items())
    for name, value in own.items():
        plain, known = plain_value(value)
        if not plain:
            if name not in _TABLES:
                made.rest.append((name, value))
        elif name[:1] != "_" and name != "training" and len(made.attributes) < _MAX_ATTRIBUTES:
            made.attributes[name] = known
    if made.class_path.startswith("torch."):
        _add_switches(made, tables["_parameters"])
    complete_packed(made, thing)
    return made


def _table(made: ModuleView, own: dict[str, object], name: str) -> dict[str, object]:
    """Give a module's table; the last of two entries of one name, as in a dict."""
    if name not in own:
        return {}
    pairs = pairs_of(own[name])
    if pairs is None:
        made.wrong.append(f"its {name} is no mapping")
        return {}
    return {key_text(key): value for key, value in pairs}


def _add_switches(made: ModuleView, parameters: dict[str, object]) -> None:
    """Tell arguments of PyTorch's own layers that are kept as a parameter, or as none."""
    # A pruned bias is kept under another name.
    for name in ("bias", "in_proj_bias", "bias_orig"):
        if name in parameters and "bias" not in made.attributes:
            made.attributes["bias"] = parameters[name] is not None
    extra = "bias_k" in parameters or "bias_k" in made.attributes
    if extra:
        made.attributes["add_bias_kv"] = parameters.get("bias_k") is not None
