"""Live modules, in one process after its imports: Weigh's text beside torchinfo's.

``python -m benchmarks.live RUNS`` prints JSON: for each network the seconds of both, run by run.
"""

from __future__ import annotations

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


def timed(text_of: Callable[[nn.Module], str], network: nn.Module) -> float:
    start = time.perf_counter()
    text_of(network)
    return time.perf_counter() - start


def compare(network: nn.Module, runs: int) -> dict[str, list[float]]:
    with_weigh(network)
    with_torchinfo(network)
    pairs = [(timed(with_weigh, network), timed(with_torchinfo, network)) for _ in range(runs)]
    return {"ours": [a for a, _ in pairs], "theirs": [b for _, b in pairs]}


def main(runs: int) -> None:
    warnings.simplefilter("ignore")  # nn.Transformer() warns of its own default arguments
    print(json.dumps({name: compare(make(), runs) for name, make in NETWORKS.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
