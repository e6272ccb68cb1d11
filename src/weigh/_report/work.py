"""Making a report: all values are measured, then each tensor's details are packed, one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from weigh._api import compare, examine
from weigh._api import open as open_network
from weigh._before import Around
from weigh._checks.settings import Settings
from weigh._compare.report import DiffReport
from weigh._compare.run import Differ
from weigh._errors import WeighError
from weigh._explain import explanation_of
from weigh._measures.measure import measure
from weigh._measures.measured import Measured, Options
from weigh._measures.statistics import Statistics
from weigh._report.changes import change_item, changes_json
from weigh._report.chunks import Chunks
from weigh._report.detail import layer_item, tensor_item
from weigh._report.fallback import fallback
from weigh._report.findings import findings_json, worst
from weigh._report.index import index_json
from weigh._report.nodes import Node, Nodes
from weigh._report.page import page
from weigh._report.pictures import common_limit, picture, side
from weigh._report.statistics import histograms, initial_json, statistics_row
from weigh._tensor import Tensor


class Reporter:
    """Makes a report of a network, or of two, so that what is done can be seen before all is.

    Args:
        sources: one or two of what ``weigh.open`` takes.
        names: what a command would call them; "" for what lives in memory.
        settings: which rules look at them.
        options: how values are measured.

    Raises:
        SourceError: a source cannot be read.
    """

    def __init__(
        self, sources: Sequence[object], names: Sequence[str], settings: Settings, options: Options
    ) -> None:
        self._names, self._options = names, options
        self._networks = [open_network(source) for source in sources]
        self._checkers = [examine(network, None, settings, options) for network in self._networks]
        self._differ: Differ | None = None
        if len(self._networks) == 2:
            before, after = self._networks
            self._differ = compare(before, after, None, options)
        self._measured: list[dict[str, Measured]] = [{} for _ in self._networks]
        self._around = [Around(network) for network in self._networks]
        self._nodes, self._chunks = Nodes(), Chunks()
        self._diff: DiffReport | None = None

    @property
    def total(self) -> int:
        """How many bytes are read: to measure, to compare, and for the pictures."""
        tensors = [t for network in self._networks for t in network.tensors() if not t.tied_to]
        return 2 * sum(t.bytes or 0 for t in tensors) + (self._differ.bytes if self._differ else 0)

    def run(self) -> Iterator[str]:
        """Do all there is to do; give the name of each tensor when something of it is done."""
        for checker, measured in zip(self._checkers, self._measured, strict=True):
            yield from checker.run()
            measured |= checker.subject.measured
            # Rules that were chosen may ask for no values.
            left = [t for t in checker.subject.tensors if t.name not in measured]
            for one in measure(left, self._options):
                measured[one.tensor.name] = one
                yield one.tensor.name
        if self._differ is not None:
            yield from self._differ.run()
            self._diff = self._differ.report()
        other = self._networks[1] if self._diff is not None else None
        self._nodes = Nodes.of(self._networks[0], other, self._diff)
        cells = side([n for node in self._nodes.all for n in self._pictured(node)])
        for node in self._nodes.all:
            self._chunks.add(*self._item(node, cells))
            if node.tensor is not None:
                yield node.name
        self._chunks.close()

    def page(self) -> str:
        """Write the page, when all is done."""
        reports = [checker.report() for checker in self._checkers]
        found = findings_json(reports, self._nodes)
        index = index_json(self._networks, self._names, self._nodes, self._chunks.starts)
        index |= {"findings": found, "worst": worst(found)}
        if self._diff is not None:
            index["changes"] = changes_json(self._diff, self._nodes)
        titles = [
            name or f"a {n.format} network"
            for name, n in zip(self._names, self._networks, strict=True)
        ]
        shown = fallback(self._networks, titles)
        return page(" and ".join(titles), index, self._chunks.packed, shown)

    def _pictured(self, node: Node) -> list[int]:
        """Say how many values each picture of a node shows."""
        return [tensor.count or 0 for tensor in _sides(node) if tensor is not None]

    def _item(self, node: Node, cells: int) -> tuple[dict[str, Any], list[bytes]]:
        if node.layer is not None:
            return layer_item(node.layer), []
        if node.tensor is None:
            return {}, []
        network, around = self._networks[node.second], self._around[node.second]
        above = self._nodes.all[node.parent].layer
        item = tensor_item(explanation_of(network, node.tensor, above or network, around))
        if node.change is not None:
            item["change"] = change_item(node.change)
        if node.tensor.tied_to is not None:
            return item, []
        before, after = (
            None if tensor is None else self._measured[at].get(_own(tensor))
            for at, tensor in enumerate(_sides(node))
        )
        item |= _numbers(before or after, after if before else None)
        pictures, blobs = self._pictures(node, cells, before, after)
        if pictures:
            item["pictures"] = pictures
        return item, blobs

    def _pictures(
        self, node: Node, cells: int, before: Measured | None, after: Measured | None
    ) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Make the picture of a tensor, or those before and after on one scale."""
        sides = [
            (tensor, measured)
            for tensor, measured in zip(_sides(node), (before, after), strict=True)
            if tensor is not None and measured is not None and measured.table is not None
        ]
        if not cells or not all(tensor.count for tensor, _ in sides):
            return [], []
        # On one scale, or colours would say that something changed.
        tables = [measured.table for _, measured in sides if measured.table is not None]
        limit = common_limit(tables) if len(tables) > 1 else None
        try:
            made = [
                picture(tensor, cells, table, self._options, limit)
                for (tensor, _), table in zip(sides, tables, strict=True)
            ]
        except WeighError as error:
            return [{"problem": str(error)}], []
        return [told for told, _ in made], [blob for _, blobs in made for blob in blobs]


def _sides(node: Node) -> tuple[Tensor | None, Tensor | None]:
    """Give the tensor in each network; in the second only where it is not the same as before."""
    change = node.change
    if node.second:
        return None, node.tensor
    if change is None or change.kind in ("unchanged", "renamed"):
        return node.tensor, None
    return node.tensor, change.b


def _own(tensor: Tensor) -> str:
    return tensor.tied_to or tensor.name


def _numbers(one: Measured | None, after: Measured | None) -> dict[str, Any]:
    """Give statistics and histograms; with another beside them where it changed."""
    if one is None or one.table is None:
        return {"problem": "its values were not read" if one is None else one.problem}
    found = one.statistics()
    assert found is not None  # it has a table
    made: dict[str, Any] = {"statistics": statistics_row(found)}
    if one.stored is not None:
        made["stored"] = statistics_row(Statistics.of(one.stored))
    tables = [one.table]
    second = after.statistics() if after is not None else None
    if second is not None and after is not None and after.table is not None:
        made["after"] = statistics_row(second)
        tables.append(after.table)
    initial = one.tensor.initial
    if initial is not None and not (math.isfinite(initial.a) and math.isfinite(initial.b)):
        initial = None
    made["histograms"] = histograms(tables, initial)
    made["initial"] = None if initial is None else initial_json(initial)
    return {key: value for key, value in made.items() if value}
