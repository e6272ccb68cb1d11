"""The document of ``weigh show``: the tree, a row for every tensor, the five totals."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._counts import Counts
from weigh._errors import printable
from weigh._facts import Accounts
from weigh._model import Axis, Network, Tensor
from weigh._tensor import Form
from weigh._views.document import Column, Document, Note, Part, Table, Verbatim
from weigh._views.fold import Row, fold

_COLUMNS = (
    Column("name", role="name"),
    Column("axes", role="detail"),
    Column("dtype"),
    Column("values", "right", unit=True),
    Column("bytes", "right", unit=True),
    Column("role"),
    Column("", role="detail"),
)
_TOTALS = (
    ("parameters", "parameters", "each parameter once"),
    ("by path", "by_path", "a tied one under each of its names"),
    ("unique storage", "unique_storage", "different stored values, shared memory once"),
    ("logical weights", "logical", "packed ones unpacked"),
    ("bytes", "bytes", "all tensors, shared memory once"),
)
_BOUNDED = ("unique_storage", "bytes")
"""What is an upper bound where views with very many gaps overlap."""


def show_document(
    network: Network, selected: Sequence[Tensor] | None = None, *, folded: bool = False
) -> Document:
    """Build the document.

    Args:
        network: what to show.
        selected: the tensors a pattern selected; None for all, with the tree above them.
        folded: whether repeated blocks share a row.
    """
    tensors = network.tensors() if selected is None else selected
    tree, failed = _tree(network) if selected is None else ("", "")
    parts: list[Part] = [Verbatim(tree)] if tree else []
    rows = fold(tensors) if folded else [Row(t.name, t, 1) for t in tensors]
    # What alike tensors share is written out once.
    written: dict[Form, tuple[str, ...]] = {}
    parts.append(Table(_COLUMNS, tuple([_row(row, written) for row in rows])))
    counts = network.counts if selected is None else Counts.of(tensors)
    parts.append(totals_table(counts))
    if selected is not None:
        parts.append(Note(f"{len(tensors)} of {len(network.tensors())} tensors are selected."))
    if failed:
        parts.append(Note(printable(failed)))
    parts.extend(Note(note) for note in notes_of(network, counts, tree))
    return tuple(parts)


def _tree(network: Network) -> tuple[str, str]:
    """Print the network, or say why its own code does not let it be printed."""
    try:
        return repr(network), ""
    except Exception as error:  # a user's __repr__ may raise anything
        return "", f"The tree is left out: printing the module raised {type(error).__name__}."


def number(n: int | None) -> str:
    """Write a count with commas; ``?`` where there is none."""
    return "?" if n is None else f"{n:,}"


def axes_text(axes: Sequence[Axis]) -> str:
    """Write axes as ``out_channels=6 in_channels=1``; a tensor without axes is a scalar."""
    return " ".join(str(axis) for axis in axes) or "scalar"


def _row(row: Row, written: dict[Form, tuple[str, ...]]) -> tuple[str, ...]:
    tensor = row.tensor
    form = tensor._form
    cells = written.get(form)
    if cells is None:
        axes = axes_text(form.axes) if form.shape is not None else "shape not known yet"
        sizes = (number(form.count), number(form.bytes))
        cells = written[form] = (axes, form.dtype.name, *sizes, role_text(tensor))
    if row.times > 1:
        axes, dtype, count, size, role = cells
        cells = (axes, dtype, f"{row.times} x {count}", f"{row.times} x {size}", role)
    tie = printable(f"tied to {tensor.tied_to}") if tensor.tied_to else ""
    return (printable(row.name), *cells, tie)


def role_text(tensor: Tensor) -> str:
    """Say what a tensor is: a parameter is learnable or frozen."""
    if tensor.role == "parameter":
        if tensor.learnable is None:
            return "quantized"
        return "learnable" if tensor.learnable else "frozen"
    return "packed" if tensor.packed else tensor.role


def totals_table(counts: Counts) -> Table:
    """List the totals, each with what it counts."""
    least = "at least " if counts.at_least else ""
    most = "at most " if counts.at_most and not least else least
    rows = [("tensors", number(counts.tensors), "rows, of every role")]
    rows += [
        (title, (most if name in _BOUNDED else least) + number(getattr(counts, name)), words)
        for title, name, words in _TOTALS
    ]
    return Table(
        (Column("", role="name"), Column("", "right"), Column("", role="detail")), tuple(rows)
    )


def notes_of(network: Network, counts: Counts, tree: str) -> list[str]:
    """Say what a reader of the tree and of the totals should know besides.

    Args:
        network: what is shown.
        counts: the totals.
        tree: the network as it is printed.
    """
    notes = list(network.notes)
    if network.format != "live" and ("?" in tree or "# inferred" in tree):
        notes.append(
            "# inferred: worked out from names and shapes. ?: the source does not say "
            "(a convolution's padding, dilation and groups leave no trace either)."
        )
    if counts.frozen:
        notes.append(f"{number(counts.frozen)} of the parameters are frozen.")
    if counts.at_least:
        notes.append(
            "A lazy layer has no shape before its first input, so totals are lower bounds."
        )
    if network.accounts is not None and network.accounts.unreachable:
        notes.append(_unreachable(network.accounts))
    roles = [f"{r} {number(b)}" for r, b in counts.bytes_by_role.items()]
    if len(roles) > 1:
        notes.append(f"Bytes by role: {', '.join(roles)}.")
    return [printable(note) for note in notes]


def _unreachable(accounts: Accounts) -> str:
    """Account for every byte, where some are of no use."""
    return (
        f"{number(accounts.unreachable)} of {number(accounts.total)} bytes on disk belong to no "
        f"tensor (tensors {number(accounts.tensors)}, metadata {number(accounts.metadata)}, "
        f"padding {number(accounts.padding)})."
    )
