"""Keras's own archive (``.keras``): a zip of the model's config and its weights in HDF5."""

from __future__ import annotations

from dataclasses import replace

from weigh._errors import FormatError
from weigh._facts import Accounts, Facts
from weigh._sources.bytes import ByteSource
from weigh._sources.hdf5 import read_listed
from weigh._sources.hdf5_file import list_file
from weigh._sources.json_file import plain_members
from weigh._sources.keras_config import Node, parse_config
from weigh._sources.part import Part
from weigh._sources.zips import Member, read_directory, stored_offset, unpacked_member

WEIGHTS = "model.weights.h5"
_CONFIG, _METADATA = "config.json", "metadata.json"
_MOST_CONFIG, _MOST_METADATA = 1 << 25, 1 << 16


def read(source: ByteSource) -> Facts:
    """Read what a ``.keras`` archive states.

    Raises:
        FormatError: the archive or a part of it breaks the rules.
        ModuleNotFoundError: h5py is not installed.
    """
    members = read_directory(source)
    weights = members[WEIGHTS]
    part = Part(source, stored_offset(source, weights), weights.size, source.name)
    config: Node | None = None
    if _CONFIG in members:
        config = parse_config(_text(source, members[_CONFIG], _MOST_CONFIG))
    facts = read_listed(part, list_file(part), config)
    inner = facts.accounts or Accounts(0, 0, 0, 0, 0)
    known = sum(members[name].packed for name in (_CONFIG, _METADATA, WEIGHTS) if name in members)
    others = sum(member.packed for member in members.values()) - known
    notes = (f"{others:,} bytes of the archive are assets, and not shown.",) if others else ()
    return replace(
        facts,
        format="keras",
        metadata={**facts.metadata, **_metadata(source, members.get(_METADATA))},
        notes=(*facts.notes, *notes),
        accounts=Accounts(
            source.size, inner.tensors, source.size - inner.tensors - others, 0, others
        ),
    )


def _text(source: ByteSource, member: Member, most: int) -> str:
    try:
        return unpacked_member(source, member, most=most).decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(f"the archive's member {member.name!r} is not UTF-8 text") from None


def _metadata(source: ByteSource, member: Member | None) -> dict[str, str]:
    if member is None:
        return {}
    found = plain_members(_text(source, member, _MOST_METADATA))
    return {key: value for key, value in found.items() if isinstance(value, str)}
