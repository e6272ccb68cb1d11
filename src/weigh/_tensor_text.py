"""A tensor's values as PyTorch prints them, to the letter, without PyTorch.

It imports NumPy, so import it only where values are about to be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from weigh._dtypes import DType
from weigh._errors import UsageError, ValuesError
from weigh._facts import Values
from weigh._index import Region
from weigh._number_format import NumberFormat, number_format
from weigh._record import record

_OPENING = "tensor("
_MOST_SHOWN = 1_000_000
_MOST_AXES = 64  # of a NumPy array, and of most that PyTorch does with a tensor

# Types that need no saying: the ones that PyTorch makes of plain Python numbers. With no
# number to see, only the default type goes without saying.
_QUIET = frozenset({"float32", "complex64", "int64", "bool"})
_QUIET_UNSEEN = frozenset({"float32"})
_UNKNOWN_TO_TORCH = frozenset({"float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"})

_QUANTIZATION_PARTS = re.compile(r", (?=(?:scale|zero_point|axis)=)")

_Array = np.ndarray[Any, Any]


def tensor_text(
    values: Values,
    *,
    parameter: bool = False,
    requires_grad: bool = False,
    device: str = "cpu",
    quantization: str | None = None,
    line_width: int = 80,
    precision: int = 4,
    threshold: float = 1000,
    edge_items: int = 3,
) -> str:
    """Write a tensor as ``repr`` of the same PyTorch tensor would.

    Args:
        values: the tensor. Only what is shown of it is read, and nothing if it is empty.
        parameter: write it as an ``nn.Parameter``.
        requires_grad: say that it is learnable.
        device: where it lives; the values of a tensor on ``"meta"`` are not asked for.
        quantization: how stored values map to real ones, as PyTorch prints it.
        line_width: the characters a line should not pass.
        precision: the digits after the point.
        threshold: the most values that are all shown; of more, the edges of each axis are.
        edge_items: how many positions are shown at each end of an axis then.

    Raises:
        UsageError: even the edges are more than a million values, as 8 long axes have.
        ValuesError: the values cannot be had, or lie along more than 64 axes.
    """
    shape = values.shape
    if shape is None:
        return f"<Uninitialized{'Parameter' if parameter else 'Buffer'}>"
    place = device.partition(":")[0]
    parts = _parts_of(values)
    unseen = parts is None and (place == "meta" or 0 in shape)

    def write(part: Values, indent: int) -> str:
        size = part.shape or ()
        if place == "meta" or 0 in size:
            return "..." if place == "meta" else "[]"
        page = _Page(size, line_width, edge_items, math.prod(size) > threshold, indent)
        return page.write(part, precision)

    stored: list[str] = []
    if parts is None:
        body = write(values, len(_OPENING))
    else:
        body, stored = _sparse(parts, write, seen=place != "meta")
    sized = quantization is not None or place == "meta" or _needs_size(shape, edge_items)
    suffixes = [
        *([f"device='{device}'"] if place != "cpu" else []),
        *([f"size={tuple(shape)}"] if sized or parts is not None else []),
        *stored,
        *_dtype_suffix(values.dtype, unseen=unseen),
        *(_QUANTIZATION_PARTS.split(quantization) if quantization else []),
        *([f"layout={values.layout}"] if parts is not None else []),  # type: ignore[attr-defined]
        *(["requires_grad=True"] if requires_grad else []),
    ]
    # PyTorch begins a line there for coordinates, and for no other sort of sparse tensor.
    new_line = parts is not None and len(parts) == 2
    text = _with_suffixes(_OPENING + body, suffixes, line_width, new_line=new_line)
    return f"Parameter containing:\n{text}" if parameter else text


def _parts_of(values: Values) -> dict[str, Values] | None:
    """Give what a sparse tensor is printed as, by name; None for any other."""
    parts = getattr(values, "parts", None)
    return None if parts is None else parts()


def _sparse(
    parts: dict[str, Values], write: Callable[[Values, int], str], *, seen: bool
) -> tuple[str, list[str]]:
    """Write the tensors that make up a sparse one, and count the values that are stored."""
    lines = []
    for name, part in parts.items():
        opening = f"{name}=tensor("
        shape = part.shape or ()
        size = f", size={shape}" if 0 in shape or not seen else ""
        lines.append(f"{opening}{write(part, len(_OPENING) + len(opening))}{size})")
    *_, places, _ = parts.values()
    stored = [f"nnz={(places.shape or (0,))[-1]}"] if seen and len(parts) > 1 else []
    return (",\n" + " " * len(_OPENING)).join(lines), stored


def _needs_size(shape: tuple[int, ...], edge_items: int) -> bool:
    """Whether the numbers (or brackets) alone would not tell the size."""
    if 0 in shape:
        return len(shape) != 1
    return edge_items == 0


def _dtype_suffix(dtype: DType, *, unseen: bool) -> list[str]:
    """Name the type, unless it goes without saying."""
    if dtype.name in (_QUIET_UNSEEN if unseen else _QUIET):
        return []
    return [f"dtype={'' if dtype.name in _UNKNOWN_TO_TORCH else 'torch.'}{dtype.name}"]


def _with_suffixes(
    text: str, suffixes: Sequence[str], line_width: int, *, new_line: bool = False
) -> str:
    """Close the text with its suffixes, each on a new line when the last one has no room."""
    # PyTorch counts two characters too many for the last line of numbers.
    used = len(text) - (text.rfind("\n") + 1) + 2
    for suffix in suffixes:
        if new_line or used + 2 + len(suffix) > line_width:
            new_line = False
            text += ",\n" + " " * len(_OPENING) + suffix
            used = len(_OPENING) + len(suffix)
        else:
            text += ", " + suffix
            used += 2 + len(suffix)
    return text + ")"


@record(frozen=True)
class _Page:
    """Lays the numbers of a tensor out in lines and brackets.

    Attributes:
        shape: the tensor's shape; no axis is empty.
        line_width: the characters a line should not pass.
        edge_items: the positions shown at each end of an axis that is cut.
        cut: whether to show only the edges of the axes that are long enough for it.
        indent: the characters of the first line before the first bracket.
    """

    shape: tuple[int, ...]
    line_width: int
    edge_items: int
    cut: bool
    indent: int

    def write(self, values: Values, precision: int) -> str:
        """Read what is shown and write it, brackets and all."""
        if self.cut and self.shape and not self.edge_items:
            return "[...]"
        shown = self.read(values)
        number = number_format(values.dtype, shown.ravel().tolist(), precision)
        return self.nested(shown, 0, number)

    def is_cut(self, axis: int) -> bool:
        """Whether the middle of this axis is left out."""
        return self.cut and self.shape[axis] > 2 * self.edge_items

    def read(self, values: Values) -> _Array:
        """Read what is shown of the tensor, and nothing else, as one array."""
        axes = range(len(self.shape))
        if len(axes) > _MOST_AXES:
            raise ValuesError(
                f"a tensor of more than {_MOST_AXES} axes cannot be printed", seen=str(len(axes))
            )
        shown = math.prod(sum(count for _, count in self.spans(axis)) for axis in axes)
        if self.cut and shown > _MOST_SHOWN:
            raise UsageError(
                "even the edges of this tensor are too many values to print",
                seen=f"shape {list(self.shape)}",
                do="Print a slice of it.",
            )
        return np.asarray(self.gather(values, ()))

    def gather(self, values: Values, taken: tuple[tuple[int, int], ...]) -> _Array:
        """Read the region whose first axes are settled, joining the two ends of a cut axis."""
        axis = len(taken)
        if axis == len(self.shape):
            starts = tuple(start for start, _ in taken)
            counts = tuple(count for _, count in taken)
            return values.read(Region(starts, counts, (1,) * axis, (True,) * axis))
        parts = [self.gather(values, (*taken, span)) for span in self.spans(axis)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)

    def spans(self, axis: int) -> Iterator[tuple[int, int]]:
        """Give the start and the length of each part of an axis that is shown."""
        if self.is_cut(axis):
            yield 0, self.edge_items
            yield self.shape[axis] - self.edge_items, self.edge_items
        else:
            yield 0, self.shape[axis]

    def nested(self, block: _Array, axis: int, number: NumberFormat) -> str:
        """Write the block that is left after ``axis`` axes, which are as many open brackets."""
        if block.ndim == 0:
            return number(block.item())
        if block.ndim == 1:
            return self.vector([number(n) for n in block.tolist()], axis, number.width)
        rows = [self.nested(row, axis + 1, number) for row in block]
        if self.is_cut(axis):
            rows.insert(self.edge_items, "...")
        return f"[{self.break_line(axis, block.ndim - 1).join(rows)}]"

    def vector(self, numbers: list[str], axis: int, width: int) -> str:
        """Write the last axis, in as many lines as it needs."""
        if self.is_cut(axis):
            numbers.insert(self.edge_items, " ...")
        room = self.line_width - self.indent - axis
        a_line = max(1, room // (width + len(", ")))
        lines = [", ".join(numbers[i : i + a_line]) for i in range(0, len(numbers), a_line)]
        return f"[{self.break_line(axis, 1).join(lines)}]"

    def break_line(self, axis: int, newlines: int) -> str:
        """End a line and indent the next below the first thing inside the open bracket."""
        return "," + "\n" * newlines + " " * (self.indent + axis + 1)
