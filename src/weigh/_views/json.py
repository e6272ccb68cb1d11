"""The JSON documents: stable keys that outside tools rely on. Add to them, never rename."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from weigh._counts import Counts
from weigh._explain import Explanation
from weigh._facts import Accounts
from weigh._model import Axis, Hyperparameter, Layer, Network, Tensor
from weigh._registry import Format
from weigh._views.formats import needs

Document = dict[str, Any]


def dumps(document: Document) -> str:
    """Write a document as strict JSON in ASCII: a line for each key, and for each row of a list."""
    lines = [f"{json.dumps(key)}: {_value(value)}" for key, value in document.items()]
    return "{\n  " + ",\n  ".join(lines) + "\n}"


def _value(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        rows = ",\n    ".join(json.dumps(row, allow_nan=False) for row in value)
        return f"[\n    {rows}\n  ]"
    return json.dumps(value, allow_nan=False)


def show_json(network: Network, selected: Sequence[Tensor] | None = None) -> Document:
    """The document of ``weigh show --json``; see ``docs/json.md``."""
    tensors = network.tensors() if selected is None else selected
    counts = network.counts if selected is None else Counts.of(tensors)
    return {
        "format": network.format,
        "location": network.location,
        "counts": counts_json(counts),
        "layers": [
            _layer(path, layer) for path, layer in network.named_modules(remove_duplicate=False)
        ],
        "tensors": [_tensor(tensor) for tensor in tensors],
        "file": None if network.accounts is None else accounts_json(network.accounts),
        "metadata": dict(network.metadata),
        "notes": list(network.notes),
    }


def counts_json(counts: Counts) -> Document:
    """The totals."""
    return {name: getattr(counts, name) for name in Counts.__dataclass_fields__}


def accounts_json(accounts: Accounts) -> Document:
    """Where the bytes of the file went."""
    return {name: getattr(accounts, name) for name in Accounts.__dataclass_fields__}


def formats_json(formats: Sequence[Format], broken: Sequence[str]) -> Document:
    """The document of ``weigh formats --json``."""
    return {
        "formats": [
            {
                "name": row.name,
                "title": row.title,
                "endings": list(row.endings),
                "folder": list(row.files),
                "needs": needs(row),
                "origin": row.origin,
            }
            for row in formats
        ],
        "broken": list(broken),
    }


def explain_json(explanations: Sequence[Explanation]) -> Document:
    """The document of ``weigh explain --json``."""
    layer = explanations[0].layer
    return {
        "layer": _layer(layer.path, layer),
        "tensors": [
            _tensor(e.tensor)
            | {
                "axes": [
                    _axis(reason.axis)
                    | {"formula": reason.axis.formula, "source": reason.source, "why": reason.why}
                    for reason in e.axes
                ],
                "fan_in": e.tensor.fan_in,
                "initial": None if e.tensor.initial is None else str(e.tensor.initial),
                "sentences": list(e.sentences),
            }
            for e in explanations
        ],
    }


def values_json(tensor: Tensor) -> Document:
    """The document of ``weigh values --json``: all the values, NaN and infinities as text."""
    array = tensor.read()
    return {
        "name": tensor.name,
        "dtype": tensor.dtype.name,
        "shape": list(array.shape),
        "axes": [_axis(axis) for axis in tensor.axes],
        "values": strict(array.tolist()),
    }


def strict(value: Any) -> Any:
    """Replace what JSON has no word for: NaN, infinities and complex numbers."""
    if isinstance(value, list):
        return [strict(part) for part in value]
    if isinstance(value, complex):
        return {"real": strict(value.real), "imag": strict(value.imag)}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _layer(path: str, layer: Layer) -> Document:
    return {
        "path": path,
        "kind": layer.kind,
        "kind_status": layer.kind_status,
        "purpose": layer.purpose,
        "hyperparameters": {n: _hyper(row) for n, row in layer.hyperparameters.items()},
    }


def _hyper(row: Hyperparameter) -> Document:
    value = list(row.value) if isinstance(row.value, tuple) else row.value
    return {"value": strict(value), "status": row.status, "origin": row.origin}


def _axis(axis: Axis) -> Document:
    return {"name": axis.name, "size": axis.size, "meaning": axis.meaning}


def _tensor(tensor: Tensor) -> Document:
    return {
        "name": tensor.name,
        "layer": tensor.layer,
        "role": tensor.role,
        "role_status": tensor.role_status,
        "learnable": tensor.learnable,
        "learnable_status": tensor.learnable_status,
        "dtype": tensor.dtype.name,
        "shape": None if tensor.shape is None else list(tensor.shape),
        "axes": [_axis(axis) for axis in tensor.axes],
        "values": tensor.count,
        "bytes": tensor.bytes,
        "tied_to": tensor.tied_to,
        "packed": tensor.packed,
        "logical": tensor.logical,
        "purpose": tensor.purpose,
    }
