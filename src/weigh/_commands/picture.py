"""The command ``weigh picture``; what it does is in ``_picture.py``."""

from __future__ import annotations

from typing import Any

import click

from weigh._commands.common import JSON, SOURCE, THREADS


def _axes(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, str] | None:
    """Read two names with a comma between them."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise click.BadParameter("two names with a comma between them: out_channels,in_channels")
    return names[0], names[1]


def _sizes(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, int]:
    """Read sizes such as ``c=8``."""
    sizes = {}
    for text in texts:
        name, _equals, size = text.partition("=")
        if not size.isascii() or not size.isdecimal() or not 0 < len(size) < 10 or not int(size):
            raise click.BadParameter(f"a part and its size, such as c=8, not {text!r}")
        sizes[name.strip()] = int(size)
    return sizes


def _scale(_: click.Context, __: click.Parameter, text: str) -> str | float:
    """Read whose values say where colours end, or the number."""
    if text in ("tensor", "filter", "network"):
        return text
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(
            f"'tensor', 'filter', 'network' or a number, not {text!r}"
        ) from None


@click.command()
@SOURCE
@click.argument("name", required=False)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(), help="Write a .svg or .png file."
)
@click.option("--layout", metavar="TEXT", help="As in einops: 'o i h w -> (o h) (i w)'.")
@click.option(
    "--axes", metavar="A,B", callback=_axes, help="The axes that go down and to the right."
)
@click.option(
    "--size", "sizes", metavar="PART=N", multiple=True, callback=_sizes,
    help="With --layout: the size of a part of an axis.",
)  # fmt: skip
@click.option(
    "--scale", default="tensor", metavar="WHOSE", callback=_scale,
    help="Where colours end: by the values of the tensor, each filter or the network; or a number.",
)  # fmt: skip
@click.option(
    "--reducer", type=click.Choice(["extreme", "rms", "mean"]), default="extreme",
    help="What a cell shows of several values; the one furthest from 0 if left out.",
)  # fmt: skip
@click.option("--rgb/--no-rgb", default=None, help="Show an axis of 3 in colours, or as 3 slices.")
@click.option(
    "--cells", type=click.IntRange(1, 8192), default=1024, metavar="N",
    help="How many cells each way, where there are more values.",
)  # fmt: skip
@click.option("--histogram", is_flag=True, help="Show how the values are distributed instead.")
@click.option("--ridge", is_flag=True, help="Show the distributions of all tensors instead.")
@click.option("--beside", metavar="SOURCE", help="With --histogram: the same tensor of another.")
@click.option("--symlog", is_flag=True, help="With --histogram, --ridge: logarithmic both ways.")
@click.option("--whole", is_flag=True, help="With --histogram: from the smallest to the largest.")
@click.option("--theme", type=click.Choice(["light", "dark"]), help="Colours on light, or on dark.")
@click.option(
    "--terminal", type=click.Choice(["kitty", "sixel", "half", "plain"]),
    help="How to draw on the terminal; what it can do best if left out.",
)  # fmt: skip
@THREADS
@JSON
def picture(*, threads: int | None, as_json: bool, **asked: Any) -> int:
    """Show a tensor as colours: blue is negative, orange positive, white 0.

    Filters become a grid, matrices heat-maps, vectors strips; gates, queries, keys and values stand
    apart. NAME is a tensor, or a slice of it. Without -o it is drawn on the terminal, as well as
    that can.

    \b
    Examples:
      weigh picture model.safetensors conv1.weight
      weigh picture model.safetensors conv1.weight -o conv1.png
      weigh picture model.safetensors 'conv2.weight[:, :, 2, 2]'
      weigh picture model.safetensors conv2.weight --layout 'o i h w -> (i h) (o w)'
      weigh picture before.pt fc1.weight --histogram --beside after.pt -o fc1.svg
      weigh picture model.safetensors '*.weight' --ridge -o layers.svg
    """  # noqa: D301
    from weigh._picture import Request, run

    return run(Request(threads=threads or 0, as_json=as_json, **asked))
