"""The functions a user calls: each joins a source's facts with what kinds make of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

from weigh._errors import UnknownNameError, UsageError
from weigh._kinds.interpret import interpret
from weigh._model import Network, Tensor
from weigh._opening import facts_of

if TYPE_CHECKING:
    from weigh._checks.report import CheckReport
    from weigh._checks.run import Checker
    from weigh._checks.settings import Config, Settings
    from weigh._compare.path import Follower, PathReport
    from weigh._compare.report import DiffReport
    from weigh._compare.run import Differ
    from weigh._explain import Explanation
    from weigh._measures.measured import Options
    from weigh._measures.report import Collector, StatisticsReport
    from weigh._states import States


def open(source: object) -> Network:  # noqa: A001
    """Open a network, without loading its values and without running code hidden in it.

    Args:
        source: a live ``torch.nn.Module``; the path or URL of a file or a folder of any format that
            ``weigh formats`` lists; ``hf:org/name`` for a model in the hub's local cache; or a
            mapping of names to arrays (NumPy, PyTorch, anything with ``__array__`` or DLPack).
            What it gave once is given back as it is.

    Returns:
        The network: a tree of layers whose tensors read their values on demand. Of a live
        module it is a view as of now: values that training changes show, while layers, shapes
        and dtypes that change later (``module.double()``) are seen by opening it again.

    Raises:
        SourceError: the source cannot be read; its message says why, and what to do.
        UsageError: it is none of the things above.

    Examples:
        >>> import numpy, weigh
        >>> net = weigh.open({"fc.weight": numpy.zeros((2, 3)), "fc.bias": numpy.zeros(2)})
        >>> print(net)
        ?(
          (fc): Linear(in_features=3, out_features=2, bias=True)  # inferred
        )
        >>> net.counts.parameters
        8
    """
    return source if isinstance(source, Network) else interpret(facts_of(source))


def show(source: object, pattern: str | None = None, *, fold: bool = False) -> None:
    """Print what ``weigh show`` prints: the tree, every tensor with named axes, the totals.

    Args:
        source: what ``open`` takes, or what it gave.
        pattern: selects tensors: a whole name, a layer's path, or a glob.
        fold: gives equal numbered blocks one row.

    Raises:
        SourceError: the source cannot be read.
        UnknownNameError: the pattern selects nothing.

    Examples:
        >>> import numpy, weigh
        >>> weigh.show({"fc.weight": numpy.zeros((2, 3), "f4")}, "fc")
        name       axes                          dtype    values  bytes  role
        fc.weight  out_features=2 in_features=3  float32       6     24  learnable
        ...
    """
    # Only a caller who prints needs the views.
    from weigh._views.show import show_document
    from weigh._views.terminal import write

    network = open(source)
    selected = None if pattern is None else network.select(pattern)
    write(show_document(network, selected, folded=fold), sys.stdout)


def explain(source: object, name: str) -> list[Explanation]:
    """Explain a tensor, or every tensor of a layer: what each axis means, and why its size.

    Args:
        source: what ``open`` takes, or what it gave.
        name: a tensor's name (``"conv2.weight"``) or a layer's path (``"conv2"``).

    Raises:
        SourceError: the source cannot be read.
        UnknownNameError: there is none of that name, or the layer holds no tensor itself.

    Examples:
        >>> import numpy, weigh
        >>> [e] = weigh.explain({"fc.weight": numpy.zeros((120, 192))}, "fc.weight")
        >>> print(e.sentences[0])
        The matrix is a linear map R^192 -> R^120: it turns a vector of 192 into one of 120.
    """
    from weigh._explain import explain_network  # most callers only look

    return explain_network(open(source), name)


def stats(
    source: object,
    pattern: str | None = None,
    *,
    by: str = "",
    exact: bool = False,
    quantiles: Sequence[float] | None = None,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
    cache: bool = False,
) -> StatisticsReport:
    """Measure every value of a network: exact statistics of each tensor, and in total.

    Args:
        source: what ``open`` takes, or what it gave.
        pattern: selects tensors: a whole name, a layer's path, or a glob.
        by: a row for each ``"layer"``, ``"kind"``, ``"dtype"`` or ``"role"`` instead of for each
            tensor; or an axis's name, such as ``"out_channels"``, for a row for each filter.
        exact: whether values of 32 and 64 bits are looked at again, so that their quantiles are
            exact too; those of narrower types are in any case.
        quantiles: which to give, between 0 and 1; the usual nine if left out.
        threads: how many share the work; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of tensors were measured.
        cache: whether the answer may be one that was kept, if no file it came from has changed
            since, and is kept; see ``weigh stats``. Only of paths, and of 16 MB of tensors or more.

    Raises:
        SourceError: the source cannot be read.
        UnknownNameError: the pattern selects nothing, or there is no such axis.
        UsageError: a quantile is not between 0 and 1.

    Examples:
        >>> import numpy, weigh
        >>> weigh.stats({"fc.weight": numpy.array([[1.0, -3.0]])})["fc.weight"].rms
        2.23606797749979
    """
    from weigh._measures.measured import Options
    from weigh._measures.statistics import QUANTILES
    from weigh._states import States

    wanted = QUANTILES if quantiles is None else tuple(quantiles)
    options = Options(wanted, exact, threads, progress)
    states = States() if cache else None
    return answer(collect(source, pattern, by, options, states), pattern, states)


def collect(
    source: object,
    pattern: str | None,
    by: str,
    options: Options,
    states: States | None = None,
) -> Collector:
    """Prepare what ``stats`` does at once, for whoever wants to see what is done so far.

    Args:
        source: what ``open`` takes, or what it gave.
        pattern: selects tensors.
        by: what to group by.
        options: how to measure.
        states: where to note the files that are looked at, and their states.

    Raises:
        SourceError: the source cannot be read.
        UnknownNameError: the pattern selects nothing, or there is no such axis.
        UsageError: a quantile is not between 0 and 1.
    """
    # Opening and listing a file must not load the compiled part.
    from weigh._measures.report import Collector

    for quantile in options.quantiles:
        if not 0 <= quantile <= 1:
            raise UsageError("a quantile is between 0 and 1", seen=f"{quantile:g}")
    network = source if isinstance(source, Network) else interpret(facts_of(source, states))
    tensors = network.tensors() if pattern is None else network.select(pattern)
    return Collector(network, tensors, by, options)


def answer(collector: Collector, pattern: str | None, states: States | None) -> StatisticsReport:
    """Measure what was prepared, or give what was kept of it, if nothing has changed since.

    Args:
        collector: what ``collect`` gave.
        pattern: what it was given.
        states: what it was given; None if nothing is to be kept.
    """
    entry = None
    if states is not None:
        from weigh._measures.cache import entry_of  # most do without it

        entry = entry_of(collector, states, pattern)
        kept = None if entry is None else entry.find()
        if kept is not None:
            return kept
    for _ in collector.run():
        pass
    report = collector.report()
    if entry is not None:
        entry.keep(report)
    return report


def check(
    source: object,
    pattern: str | None = None,
    *,
    optimizer: Any = None,
    loss: Any = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    config: Config = None,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> CheckReport:
    """Look for what is wrong with a network; see ``weigh rules`` for what is looked for.

    Nothing is run and a live module is left as it was: what a backward pass left behind is
    looked at, but none is made.

    Args:
        source: what ``open`` takes, or what it gave.
        pattern: selects the tensors that are looked at: a name, a layer's path, or a glob.
        optimizer: the ``torch.optim.Optimizer`` that trains a live module.
        loss: a tensor that the live module computed, before its backward pass; the graph behind
            it is walked for parameters that the module does not know of.
        select: the rules that run; all if left out.
        ignore: rules that do not.
        config: settings: what a ``pyproject.toml`` has under ``[tool.weigh.check]`` as a mapping,
            or the path of such a file.
        threads: how many share the reading; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of tensors were read.

    Raises:
        SourceError: the source cannot be read.
        UnknownNameError: the pattern selects nothing, or there is no such rule or threshold.
        UsageError: a setting makes no sense.

    Examples:
        >>> import numpy, weigh
        >>> report = weigh.check({"fc.weight": numpy.array([[1.0, numpy.inf]])})
        >>> [finding.rule for finding in report], report.failed
        (['non-finite'], True)
    """
    from weigh._checks.settings import settings_of
    from weigh._checks.table import every_rule
    from weigh._measures.measured import Options

    settings = settings_of(config, every_rule(), select=select, ignore=ignore)
    options = Options(threads=threads, progress=progress)
    checker = examine(source, pattern, settings, options, optimizer=optimizer, loss=loss)
    for _ in checker.run():
        pass
    return checker.report()


def examine(
    source: object,
    pattern: str | None,
    settings: Settings,
    options: Options,
    **module: Any,
) -> Checker:
    """Prepare what ``check`` does at once, for whoever wants to see what is done so far.

    Args:
        source: what ``open`` takes, or what it gave.
        pattern: selects the tensors that are looked at.
        settings: which rules run, and how.
        options: how values are measured.
        module: the optimizer and the loss of a live module.

    Raises:
        SourceError: the source cannot be read.
        UnknownNameError: the pattern selects nothing.
        UsageError: there is an optimizer or a loss but no live module, or they are none.
    """
    from weigh._checks.live_walk import check_live
    from weigh._checks.run import Checker
    from weigh._checks.table import every_rule

    network = open(source)
    given = [name for name, thing in module.items() if thing is not None]
    if given and network._live is None:
        raise UsageError(
            f"{given[0]}= is looked at beside the live module that it belongs to",
            seen=f"a network of the format {network.format}",
        )
    if given:
        check_live(**module)
    tensors = network.tensors() if pattern is None else network.select(pattern)
    return Checker(
        network, tensors, every_rule(), settings, options, module=network._live, **module
    )


@overload
def diff(
    a: object,
    b: object,
    /,
    *,
    only: str | None = ...,
    by: str = ...,
    rank: bool = ...,
    threads: int = ...,
    progress: Callable[[int], None] | None = ...,
) -> DiffReport: ...
@overload
def diff(
    a: object,
    b: object,
    c: object,
    /,
    *more: object,
    only: str | None = ...,
    by: str = ...,
    rank: bool = ...,
    threads: int = ...,
    progress: Callable[[int], None] | None = ...,
) -> PathReport: ...
def diff(
    a: object,
    b: object,
    /,
    *more: object,
    only: str | None = None,
    by: str = "",
    rank: bool = True,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> DiffReport | PathReport:
    """Say what changed between two networks: which tensors, how much, and what that means.

    Tensors are paired by name, then by names that differ as known conventions have it, then by
    their values; both networks are read once, piece by piece.

    Args:
        a: what ``open`` takes, or what it gave.
        b: the other network, of any format.
        more: further checkpoints: then each tensor is followed from the first to the last, and
            a ``PathReport`` says how far it moved at each step.
        only: selects the tensors that are compared: a name, a layer's path, or a glob.
        by: an axis, such as ``"out_channels"``, by whose positions changes are told too.
        rank: whether to look for the rank of each changed matrix's change, which takes longer.
        threads: how many share the work; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of A were compared.

    Raises:
        SourceError: a source cannot be read.
        UnknownNameError: ``only`` selects nothing in either, or there is no such axis.
        UsageError: an axis is named, and there are more than two networks.

    Examples:
        >>> import numpy, weigh
        >>> a = {"fc.weight": numpy.ones((2, 3), "f4")}
        >>> report = weigh.diff(a, {"fc.weight": numpy.full((2, 3), 1.5, "f4")})
        >>> report["fc.weight"].difference.relative_change, report.different
        (0.5, True)
    """
    from weigh._measures.measured import Options

    options = Options(threads=threads, progress=progress)
    if more and by:
        raise UsageError("positions of an axis are told of two networks, not of several", seen=by)
    if more:
        work: Differ | Follower = follow([a, b, *more], only, options)
    else:
        work = compare(a, b, only, options, by=by, rank=rank)
    for _ in work.run():
        pass
    return work.report()


def compare(
    a: object, b: object, only: str | None, options: Options, *, by: str = "", rank: bool = True
) -> Differ:
    """Prepare what ``diff`` does at once, for whoever wants to see what is done so far.

    Args:
        a: one network.
        b: the other.
        only: selects the tensors that are compared.
        options: how values are read.
        by: an axis by whose positions changes are told too.
        rank: whether to look for the ranks of changes.

    Raises:
        SourceError: a source cannot be read.
        UnknownNameError: ``only`` selects nothing in either, or there is no such axis.
    """
    from weigh._compare.run import Differ

    networks = open(a), open(b)
    one, other = selected(networks, only)
    return Differ(*networks, (one, other), by=by, rank=rank, options=options)


def selected(networks: Sequence[Network], only: str | None) -> list[list[Tensor]]:
    """List the tensors of several networks that a pattern selects; it may select none in some.

    Raises:
        UnknownNameError: it selects none in any of them.
    """
    if only is None:
        return [network.tensors() for network in networks]
    found: list[list[Tensor]] = []
    failed: UnknownNameError | None = None
    for network in networks:
        try:
            found.append(network.select(only))
        except UnknownNameError as error:
            found.append([])
            failed = error
    if failed is not None and not any(found):
        raise failed
    return found


def follow(sources: Sequence[object], only: str | None, options: Options) -> Follower:
    """Prepare to follow each weight over several checkpoints, in the order of their numbers.

    Args:
        sources: what ``open`` takes, three or more.
        only: selects the tensors that are followed.
        options: how values are read.

    Raises:
        SourceError: a source cannot be read.
        UnknownNameError: ``only`` selects nothing in any.
    """
    import os

    from weigh._compare.path import Follower, in_order

    paths = [os.fspath(s) if isinstance(s, str | os.PathLike) else "" for s in sources]
    ordered = in_order(paths) if all(paths) else None
    given = sources if ordered is None else ordered
    networks = [open(source) for source in given]
    names = ordered or [
        path or getattr(source, "location", "") or f"{at}"
        for at, (path, source) in enumerate(zip(paths, sources, strict=True))
    ]
    notes = ("The checkpoints are followed in the order of their numbers.",) if ordered else ()
    return Follower(names, networks, selected(networks, only), options, notes)
