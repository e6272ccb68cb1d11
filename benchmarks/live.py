"""Live modules, in one process after its imports: Weigh's text beside torchinfo's.

``python -m benchmarks.live RUNS`` prints JSON: the seconds of both for each pair, run by run.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable

import torch
import torchinfo
from torch import nn

import weigh
from benchmarks.files import article_network
from weigh._views.show import show_document
from weigh._views.text import render

LAYERS = 1000


def deep() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(*(nn.Linear(64, 64) for _ in range(LAYERS)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    f"MLP of {LAYERS} layers, on meta": deep,
    "nn.Transformer()": nn.Transformer,
    "the article's network": article_network,
}


def with_weigh(network: nn.Module) -> str:
    return render(show_document(weigh.open(network)))


def with_torchinfo(network: nn.Module) -> str:
    return str(torchinfo.summary(network, verbose=0))


def with_all_of_torchinfo(network: nn.Module) -> str:
    """Every layer, named, and a row for each parameter, as Weigh has: it only prints those."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        torchinfo.summary(network, depth=99, verbose=2, row_settings=("depth", "var_names"))
    return printed.getvalue()


THEIRS: dict[str, Callable[[nn.Module], str]] = {
    "torchinfo": with_torchinfo,
    "torchinfo, all parameters": with_all_of_torchinfo,
}


def timed(text_of: Callable[[nn.Module], str], network: nn.Module) -> float:
    start = time.perf_counter()
    text_of(network)
    return time.perf_counter() - start


def compare(
    network: nn.Module, theirs: Callable[[nn.Module], str], runs: int
) -> dict[str, list[float]]:
    with_weigh(network)
    theirs(network)
    pairs = [(timed(with_weigh, network), timed(theirs, network)) for _ in range(runs)]
    return {"ours": [a for a, _ in pairs], "theirs": [b for _, b in pairs]}


def main(runs: int) -> None:
    warnings.simplefilter("ignore")  # nn.Transformer() warns of its own default arguments
    figures = [
        (name, against, compare(make(), theirs, runs))
        for name, make in NETWORKS.items()
        for against, theirs in THEIRS.items()
    ]
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]))
