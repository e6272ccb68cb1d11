"""A tensor as HTML: its axes, its picture, its distribution and its main numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from weigh._errors import printable
from weigh._measures.measure import measure_one
from weigh._notebook.figure import figure_html
from weigh._number_format import number_text
from weigh._views import document
from weigh._views.document import Column
from weigh._views.html import render_html, safe
from weigh._views.show import number, role_text

if TYPE_CHECKING:
    from weigh._measures.measured import Measured
    from weigh._measures.table import Table
    from weigh._pictures.figure import Figure
    from weigh._tensor import Tensor

MOST = 1 << 26
"""Up to so many values are read whole to show a tensor; the picture of one of more is sampled."""
_CELLS = (192, 384)
"""The most rows and columns of cells: with twice its bytes, for two themes, it stays small."""
_NUMBERS = ("mean", "std", "min", "max", "rms", "skewness", "kurtosis")
_COUNTED = ("zeros", "nan", "posinf", "neginf")
_WORDS = {"nan": "NaN", "posinf": "+Inf", "neginf": "-Inf"}


def tensor_html(tensor: Tensor) -> str:
    """Show a tensor; what cannot be had of it is said in a sentence."""
    made = [_head(tensor), _axes(tensor)]
    if tensor.shape is None:
        made.append(_sentence("Its layer has not seen its first input: it has no shape yet."))
    elif not tensor.count:
        made.append(_sentence("It has no values."))
    elif (tensor.count or 0) > MOST:
        made.append(_attempt("picture", lambda: figure_html(_picture(tensor, None))))
        made.append(
            _sentence(f"It has more than {MOST:,} values, so its statistics are left out; "
                      "weigh.stats(...) measures them.")
        )  # fmt: skip
    else:
        made.append(_attempt("values", lambda: _values(tensor)))
    return "\n".join(made)


def _head(tensor: Tensor) -> str:
    shape = "?" if tensor.shape is None else " × ".join(map(str, tensor.shape)) or "scalar"
    facts = [
        f'<span class="weigh-badge">{role_text(tensor)}</span>',
        f'<span class="weigh-mono">{safe(tensor.dtype.name)}</span>',
        f'<span class="weigh-mono">{shape}</span>',
        f"<span><b>{number(tensor.count)}</b> {'value' if tensor.count == 1 else 'values'}</span>",
        f"<span>{number(tensor.bytes)} bytes</span>",
    ]
    if tensor.device != "cpu":
        facts.append(f"<span>on {safe(tensor.device)}</span>")
    if tensor.purpose:
        facts.append(f"<span>{safe(tensor.purpose)}</span>")
    if tensor.tied_to:
        facts.append(f"<span>tied to {safe(tensor.tied_to)}</span>")
    if tensor.quantization:
        facts.append(f"<span>{safe(tensor.quantization)}</span>")
    return (
        f'<div class="weigh-head"><span class="weigh-title weigh-mono">{safe(tensor.name)}</span> '
        f"{' '.join(facts)}</div>"
    )


def _axes(tensor: Tensor) -> str:
    columns = (Column("axis", role="name"), Column("size", "right"),
               Column("made by" if any(a.formula for a in tensor.axes) else ""),
               Column("meaning" if any(a.meaning for a in tensor.axes) else "", role="detail"),
    )  # fmt: skip
    rows = tuple((a.name, number(a.size), a.formula, a.meaning) for a in tensor.axes)
    return render_html((document.Table(columns, rows),)) if rows else ""


def _values(tensor: Tensor) -> str:
    """Read it whole: its table gives the picture's limits, the distribution, the numbers."""
    measured = measure_one(tensor)
    table = measured.table
    if table is None:
        return _sentence(f"Its values cannot be had: {measured.problem.rstrip('.')}.")
    return "\n".join(
        [
            '<div class="weigh-row">',
            _attempt("picture", lambda: figure_html(_picture(tensor, measured))),
            _attempt("distribution", lambda: figure_html(_histogram(tensor, table))),
            render_html((_numbers(measured),)),
            "</div>",
        ]
    )


def _picture(tensor: Tensor, measured: Measured | None) -> Figure:
    # Drawing needs NumPy and is loaded when something is drawn.
    from weigh._pictures.picture import picture_of

    if measured is None:
        return picture_of(tensor, cells=_CELLS, sample=True)
    return picture_of(tensor, cells=_CELLS, table=measured.table)


def _histogram(tensor: Tensor, table: Table) -> Figure:
    from weigh._pictures.histogram import histogram_of

    return histogram_of(table, name=printable(tensor.name), initial=tensor.initial)


def _numbers(measured: Measured) -> document.Table:
    found = measured.statistics()
    assert found is not None  # there is a table
    rows = [(key, number_text(value)) for key in _NUMBERS
            if (value := getattr(found, key)) is not None]  # fmt: skip
    if "0.5" in found.quantiles:
        rows.insert(2, ("median", number_text(found.quantiles["0.5"])))
    rows += [(_WORDS.get(k, k), f"{n:,}") for k in _COUNTED if (n := getattr(found, k))]
    return document.Table((Column("", role="name"), Column("", "right")), tuple(rows))


def _attempt(what: str, make: Callable[[], str]) -> str:
    """Make a part; say why, if its values cannot be had: a source may be gone by now."""
    try:
        return make()
    except Exception as error:  # a notebook prints a traceback for whatever comes out of here
        return _sentence(f"Its {what} cannot be had: {_reason(error)}.")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(". ")


def _sentence(text: str) -> str:
    return f'<p class="weigh-note weigh-missing">{safe(text, 2000)}</p>'
