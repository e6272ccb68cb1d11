"""From whatever a user hands over to the facts that it states."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from weigh._errors import UsageError, WeighError
from weigh._facts import Facts
from weigh._sources.folder import LocalFolder, local_file
from weigh._sources.reading import read_folder, read_named

if TYPE_CHECKING:
    from weigh._states import States


def facts_of(source: object, states: States | None = None) -> Facts:
    """Read what a source states: a module, a path or URL, a mapping of arrays.

    Args:
        source: what ``weigh.open`` takes.
        states: where to note the files that are looked at, and their states.

    Raises:
        SourceError: it cannot be read.
        UsageError: it is none of the things above.
    """
    if _is_module(source):
        from weigh._sources import live  # needed only beside PyTorch, which is loaded then

        return live.read(source)
    if isinstance(source, str | os.PathLike):
        return _facts_at(os.fspath(source), states)
    if isinstance(source, Mapping):
        from weigh._sources import arrays  # needs NumPy, which opening a file must not import

        return arrays.read(source)
    do = ""
    if isinstance(source, type):
        do = f"Make one: {source.__name__}(...)."
    elif hasattr(source, "__array__"):
        do = "Give the array a name: {'weight': array}."
    raise UsageError(
        "weigh.open takes a torch.nn.Module, a path or a mapping of arrays",
        seen=f"the class {source.__name__}" if isinstance(source, type) else type(source).__name__,
        do=do,
    )


def _is_module(source: object) -> bool:
    """Whether this is a ``torch.nn.Module``; torch is not imported to find out."""
    nn = getattr(sys.modules.get("torch"), "nn", None)
    return nn is not None and isinstance(source, nn.Module)


def _facts_at(path: Any, states: States | None) -> Facts:
    """Read a file or a folder by its path."""
    if isinstance(path, str) and "://" in path:
        from weigh._sources.places import is_url, read_place  # only far places need it

        if is_url(path):
            return read_place(path)
    try:
        place = path
        if isinstance(path, str) and path.startswith("hf:") and not os.path.exists(path):  # noqa: PTH110
            from weigh._sources.hub import cached_model  # only the hub's cache needs it

            place = cached_model(path)
        if states is not None:
            states.source = os.path.abspath(os.fsdecode(place))  # noqa: PTH100
        if os.path.isdir(place):  # noqa: PTH112 - a path of any type
            return read_folder(LocalFolder(os.fsdecode(place), states))
        return read_named(local_file(place, states))
    except WeighError as error:
        raise error.at(os.fsdecode(path)) from None
