"""HDF5 files: those of Keras by its layers, any others by the paths of their arrays."""

from __future__ import annotations

from collections.abc import Iterable

from weigh._errors import FormatError, SourceError
from weigh._facts import Accounts, Facts, FoundTensor
from weigh._sources.bytes import ByteSource
from weigh._sources.hdf5_array import Array
from weigh._sources.hdf5_file import Group, Listed, list_file
from weigh._sources.keras_config import Node, parse_config
from weigh._sources.keras_legacy import legacy_layers
from weigh._sources.keras_weights import weights_layers

_HOLDERS = ("layers", "_layer_checkpoint_dependencies")


def read(source: ByteSource) -> Facts:
    """Read what an HDF5 file states.

    Raises:
        FormatError: libhdf5 cannot read it, or its layout breaks the rules.
        SourceError: it holds no array that Weigh reads.
        ModuleNotFoundError: h5py is not installed.
    """
    return read_listed(source, list_file(source), None)


def read_listed(source: ByteSource, listed: Listed, config: Node | None) -> Facts:
    """Make facts of a file that was listed.

    Args:
        source: the file.
        listed: what it holds.
        config: what stands beside it (in a ``.keras`` archive), if anything does.
    """
    root = listed.root
    arrays = [array for _, array in root.every()]
    if not arrays:
        raise SourceError(
            "it holds no array that Weigh reads", seen=", ".join(listed.left_out[:3]) or "none"
        )
    notes = listed.notes()
    weights = root.groups.get("model_weights", root)
    if config is None and listed.config is not None:
        config, why = _config(listed.config)
        notes += why
    if "layer_names" in weights.texts or listed.config is not None:
        layers, tensors = legacy_layers(root, weights, config)
    elif config is not None or _is_weights(root):
        layers, tensors = weights_layers(root, config)
    else:
        layers, tensors = (), tuple(plain_tensors(root))
    texts = {**root.texts, **weights.texts}
    shown = {key: texts[key][0] for key in ("backend", "keras_version") if texts.get(key)}
    return Facts(
        "hdf5",
        source.name,
        tuple(tensors),
        tuple(layers),
        metadata={key: value[:200] for key, value in shown.items()},
        notes=tuple(notes),
        accounts=account_arrays(source.size, arrays),
    )


def plain_tensors(root: Group) -> list[FoundTensor]:
    """Name every array by its path, with dots for slashes.

    Raises:
        FormatError: two have one name.
    """
    found = [
        FoundTensor(".".join(path), array.values, identity=array.address)
        for path, array in root.every()
    ]
    if len({one.name for one in found}) < len(found):
        raise FormatError("two arrays of the file have one name when slashes are dots")
    return found


def account_arrays(total: int, arrays: Iterable[Array]) -> Accounts:
    """Account for a file's bytes: what arrays take, and the rest, which describes them."""
    taken, end, met = 0, 0, set()
    placed = sorted((a.offset, a.stored) for a in arrays if a.offset is not None)
    for start, size in placed:
        taken += max(0, start + size - max(start, end))
        end = max(end, start + size)
    for array in arrays:
        if array.offset is None and array.address not in met:
            met.add(array.address)
            taken += array.stored
    # Pieces that lie across each other would count twice; the sum must still be the file.
    taken = min(taken, total)
    return Accounts(total, taken, total - taken, 0, 0)


def _is_weights(root: Group) -> bool:
    """Whether it is laid out as ``save_weights`` of Keras 3 does: ``vars`` in every layer."""
    return any(name in root.groups for name in _HOLDERS) or "vars" in root.groups


def _config(text: str) -> tuple[Node | None, list[str]]:
    try:
        return parse_config(text), []
    except FormatError as error:
        return None, [f"Its config is not read: {error.what}."]
