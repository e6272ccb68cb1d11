"""The command line: finds the command, and turns whatever goes wrong into one line.

A command is loaded when it is asked for, and imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from weigh._guard import guarded
from weigh._names import did_you_mean
from weigh._version import __version__

_COMMANDS = (
    "check", "diff", "explain", "formats", "picture", "report", "rules", "show", "stats", "tour",
    "values",
)  # fmt: skip
"""Each is the module of its name in ``_commands``, loaded when it is asked for."""


class _Commands(click.Group):
    """The commands, with a helping word for one that does not exist."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"weigh._commands.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = did_you_mean(name, _COMMANDS)
            raise click.UsageError(f"no command {name!r}. {near or 'Try weigh --help.'}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 fine, 1 findings or differences, 2 bad usage or an unreadable source.",
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
      weigh picture model.safetensors conv1.weight  its values as colours
      weigh stats model.safetensors                 statistics of every value
      weigh check model.safetensors                 what is wrong with it
      weigh diff a.safetensors b.safetensors        what changed
      weigh report model.safetensors -o page.html   all of it, on one page
    """  # noqa: D301
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 fine, 1 findings or differences, 2 bad usage or source."""
    sys.exit(guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: Sequence[str]) -> Any:
    if "_WEIGH_COMPLETE" in os.environ:
        # A shell asks for completions, which click's own main answers.
        return weigh.main(list(arguments), "weigh")
    # Not by click's main: it ends the process with status 1 when a pipe is closed.
    with weigh.make_context("weigh", list(arguments)) as context:
        return weigh.invoke(context)
