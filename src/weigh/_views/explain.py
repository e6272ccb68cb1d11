"""The document of ``weigh explain``."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._errors import printable
from weigh._explain import Explanation
from weigh._model import Hyperparameter, Layer, layer_text
from weigh._views.document import Column, Document, Heading, Part, Points, Table
from weigh._views.show import number, role_text

_AXES = (
    Column("axis", "right"),
    Column("name", role="name"),
    Column("size", "right"),
    Column("meaning", role="detail"),
    Column("comes from", role="detail"),
    Column("because", role="detail"),
)
_HYPERS = (Column("hyperparameter", role="name"), Column("value"), Column("known"))


def explain_document(explanations: Sequence[Explanation]) -> Document:
    """Build the document of some tensors of one layer."""
    parts: list[Part] = []
    for explanation in explanations:
        parts.extend(_tensor_parts(explanation))
    layer = explanations[0].layer
    if layer.hyperparameters:
        parts.append(Heading(printable(f"{layer.path or 'the network'}: {line(layer)}")))
        parts.append(hyperparameter_table(layer))
    return tuple(parts)


def hyperparameter_table(layer: Layer) -> Table:
    """List a layer's hyperparameters and how each is known."""
    return Table(_HYPERS, tuple(_hyper_row(row) for row in layer.hyperparameters.values()))


def line(layer: Layer) -> str:
    """Give the first line of what PyTorch prints for a layer."""
    try:
        text = repr(layer)
    except Exception:  # a user's __repr__ may raise anything
        text = layer_text(layer)
    head, _, rest = text.partition("\n")
    return f"{head}..." if rest else head


def _tensor_parts(explanation: Explanation) -> list[Part]:
    tensor = explanation.tensor
    shape = "shape not known yet" if tensor.shape is None else f"shape {tensor.shape}"
    facts = [role_text(tensor), tensor.dtype.name, shape, _values(tensor.count)]
    if tensor.purpose:
        facts.append(tensor.purpose)
    parts: list[Part] = [Heading(printable(f"{tensor.name}: {', '.join(facts)}"))]
    if explanation.axes:
        parts.append(
            Table(
                _AXES,
                tuple(
                    (
                        str(i),
                        reason.axis.name,
                        number(reason.axis.size),
                        reason.axis.meaning or "?",
                        printable(reason.source),
                        printable(reason.why),
                    )
                    for i, reason in enumerate(explanation.axes)
                ),
            )
        )
    parts.append(Points(tuple(printable(sentence) for sentence in explanation.sentences)))
    return parts


def _values(count: int | None) -> str:
    return f"{number(count)} {'value' if count == 1 else 'values'}"


def _hyper_row(row: Hyperparameter) -> tuple[str, str, str]:
    value = "?" if row.status == "unknown" else printable(repr(row.value))
    return (row.name, value, row.origin or row.status)
