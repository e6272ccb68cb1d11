"""Layers of which a file states the class and plain attributes, some of them no arguments."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._facts import FoundClass
from weigh._kinds.ao import find_quantized, printed_name
from weigh._kinds.holders import HOLDERS
from weigh._kinds.kind import Kind, Shape
from weigh._kinds.table import find_by_class
from weigh._model import Hyperparameter
from weigh._record import changed

Guess = tuple[Kind, dict[str, object]]


def stated_kind(made_by: FoundClass) -> tuple[Kind | None, str | None]:
    """Find the kind of a class, and the name that PyTorch prints where it is another."""
    found = find_by_class((made_by.path, *made_by.bases))
    if not made_by.loose:
        return found, None
    return find_quantized(made_by.path) or found, printed_name(made_by.path)


def stated_hyperparameters(
    kind: Kind | None, made_by: FoundClass, attributes: Mapping[str, object]
) -> dict[str, Hyperparameter]:
    """Label what is stated of a layer; of loose attributes take those that are arguments."""
    if made_by.loose and kind is not None and kind.name not in HOLDERS:
        names = [spec.name for spec in kind.specs if spec.name in attributes]
        attributes = {name: attributes[name] for name in names}
    rows = (kind or Kind()).hyperparameters(attributes, "stated", made_by.defaults)
    if made_by.loose and kind is None:  # nobody says what its defaults are
        rows = {name: changed(row, origin=None) for name, row in rows.items()}
    return rows


def completed(
    kind: Kind | None,
    rows: Mapping[str, Hyperparameter],
    guess: Guess | None,
    shapes: Mapping[str, Shape],
) -> tuple[Kind | None, dict[str, Hyperparameter]]:
    """Work out what is not stated of a layer.

    Args:
        kind: its kind by its class; None for a class of the user's, whose tensors may still be
            like those of a kind.
        rows: the hyperparameters that are stated or unknown.
        guess: what its tensors' names and shapes alone would tell.
        shapes: the shapes of its own tensors.
    """
    if kind is None:
        if guess is None:
            return None, dict(rows)
        kind, values = guess
        added = kind.hyperparameters(values, "inferred", {})
        known = {name: row for name, row in added.items() if row.status != "unknown"}
        return kind, {**known, **rows}
    same = guess is not None and guess[0].name == kind.name
    values = guess[1] if guess is not None and same else _fit(kind, shapes)
    added = kind.hyperparameters(values, "inferred", {})
    return kind, {
        name: added.get(name, row) if row.status == "unknown" else row for name, row in rows.items()
    }


def _fit(kind: Kind, shapes: Mapping[str, Shape]) -> dict[str, object]:
    """Read hyperparameters off the shapes of a layer's tensors, which need not fit its class."""
    try:
        values = kind.infer(shapes)
    except (LookupError, ValueError, TypeError, StopIteration, ArithmeticError):
        return {}
    # The depth of a filter is the number of input channels only where there are no groups.
    if kind.name.startswith("Conv"):
        values.pop("in_channels", None)
    return values
