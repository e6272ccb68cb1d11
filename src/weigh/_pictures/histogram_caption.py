"""What must be said of a histogram, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weigh._pictures.bins import Counted, constant
from weigh._pictures.caption import listed, many
from weigh._pictures.words import number_text

if TYPE_CHECKING:
    from weigh._pictures.histogram import Histogram

_ALIKE = 1e-6


def histogram_caption(histogram: Histogram, *, in_letters: bool = False) -> tuple[str, ...]:
    """Say what a histogram shows, what it leaves out, and how exact it is.

    Args:
        histogram: what is drawn.
        in_letters: whether it is drawn in letters, which have no colours.
    """
    made: list[str] = []
    for at, part in enumerate(histogram.parts):
        made += _values(part, f"{histogram.labels[at].capitalize()}: " if histogram.labels else "")
    if histogram.edges:
        made.append(_bins(histogram))
        made += _beyond(histogram)
        made += _cut(histogram)
        made += _marks(histogram, in_letters=in_letters)
        made += _exactness(histogram)
    else:
        made.append("There is no finite value to draw.")
    return tuple(made)


def _values(part: Counted, lead: str) -> Iterator[str]:
    """Say how many values there are, and of what sort."""
    sorts = [(part.nan, "NaN"), (part.posinf, "+Inf"), (part.neginf, "−Inf")]
    odd = [f"{count:,} {name}" for count, name in sorts if count]
    zeros = f", {part.zeros:,} of them 0" if part.zeros else ""
    span = ""
    if part.low is not None and part.high is not None:
        span = f", from {number_text(part.low)} to {number_text(part.high)}"
    yield f"{lead}{many(part.values, 'value')}{span}{zeros}."
    if odd:
        one = sum(count for count, _ in sorts) == 1
        yield f"{listed(odd)} {'is' if one else 'are'} counted here and not drawn."


def _bins(histogram: Histogram) -> str:
    many_bins = many(len(histogram.edges) - 1, "bin")
    if histogram.least:
        near = number_text(histogram.least)
        return (
            f"{many_bins} on a symmetric-logarithmic axis: about linear within ±{near}, "
            "logarithmic beyond."
        )
    width = histogram.edges[1] - histogram.edges[0]
    last = histogram.edges[-1] - histogram.edges[-2]
    alike = abs(width - last) <= _ALIKE * max(width, last)
    return f"{many_bins} of width {number_text(width)}." if alike else f"{many_bins}."


def _beyond(histogram: Histogram) -> Iterator[str]:
    """Say how many values are in the bins apart at the ends."""
    parts, labels = histogram.parts, histogram.labels
    low, high = (number_text(edge) for edge in (histogram.edges[0], histogram.edges[-1]))
    # An edge belongs to the bin that is further from 0.
    less = f"{low} or less" if histogram.edges[0] < 0 else f"less than {low}"
    more = f"{high} or more" if histogram.edges[-1] > 0 else f"more than {high}"
    sides = (([part.below for part in parts], less), ([part.above for part in parts], more))
    told = [
        f"{_each(counts, labels)} {'is' if counts == [1] else 'are'} {where}"
        for counts, where in sides
        if any(counts)
    ]
    if told:
        bars = (
            "The bar apart at the end has" if len(told) == 1 else "The bars apart at the ends have"
        )
        yield f"{bars} what is far from the rest: {listed(told)}."


def _each(counts: list[int], labels: tuple[str, ...]) -> str:
    if len(counts) == 1:
        return many(counts[0], "value")
    return " and ".join(f"{count:,} {label}" for count, label in zip(counts, labels, strict=True))


def _cut(histogram: Histogram) -> Iterator[str]:
    """Say which bins are higher than the picture."""
    edges, top = histogram.edges, histogram.top
    for at, part in enumerate(histogram.parts):
        label = f" {histogram.labels[at]}" if histogram.labels else ""
        for index, count in enumerate(part.counts):
            if count > top:
                low, high = number_text(edges[index]), number_text(edges[index + 1])
                yield f"The bin from {low} to {high} is cut: it has {count:,}{label}."
    if any(more > top * 1.0001 for more in histogram.expected):
        yield "What is expected goes on above the picture."


def _marks(histogram: Histogram, *, in_letters: bool) -> Iterator[str]:
    """Say what the colours are, and what is drawn of the initial distribution."""
    if histogram.labels and not in_letters:
        first, second = histogram.labels
        yield f"Grey is {first}, blue is {second}."
    initial = histogram.initial
    if initial is None:
        return
    stated = str(initial).replace("  (", " (").replace("-", "−")
    value = constant(initial)
    if value is not None and histogram.constant is None:
        yield f"By default it begins as {stated}, which is outside."
    elif in_letters:
        dots = " (the dots)" if value is None else ""
        yield f"By default it begins{dots} as {stated}."
    else:
        yield f"The dashed line is how it begins by default: {stated}."


def _exactness(histogram: Histogram) -> Iterator[str]:
    estimated = max(part.estimated for part in histogram.parts)
    if not estimated:
        yield "All counts are exact."
        return
    error = max(part.error for part in histogram.parts)
    yield (
        f"Counts of {estimated:,} bins are estimated, each to within {many(error, 'value')}: an "
        "edge of theirs splits numbers that were counted together. All other counts are exact."
    )
