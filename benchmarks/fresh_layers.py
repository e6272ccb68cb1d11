"""Layers that were only just made, of all kinds and sizes, each inside a network that learned."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.digit_networks import Rng, learn, lenet, mlp, pick, recurrent

MOST = 4_000_000
HOSTS = 12


class Fresh(NamedTuple):
    """A network of which one child, ``fresh``, is as it was made."""

    network: nn.Module
    kind: str
    note: str


class Host(nn.Module):
    """A network with another layer in its middle; it is never run."""

    def __init__(self, trained: nn.Module, fresh: nn.Module) -> None:
        super().__init__()
        children = list(trained.named_children())
        for name, child in children[: len(children) // 2]:
            self.add_module(f"m{name}", child)
        self.fresh = fresh
        for name, child in children[len(children) // 2 :]:
            self.add_module(f"m{name}", child)


def area(values: float, rng: Rng) -> tuple[int, int]:
    """Two sizes whose product is about so many values."""
    a = max(1, round(values ** float(rng.uniform(0.25, 0.75))))
    return a, max(1, round(values / a))


def side(values: float) -> int:
    return max(1, round(math.sqrt(values)))


def linear(n: float, rng: Rng) -> nn.Module:
    a, b = area(n, rng)
    return nn.Linear(a, b, bias=bool(rng.random() < 0.7))


def convolution(
    make: Callable[..., nn.Module], dimensions: int, n: float, rng: Rng, **more: bool
) -> nn.Module:
    kernel = pick(rng, *((1, 3, 5, 7) if dimensions < 3 else (1, 2, 3)))
    while kernel > 1 and kernel**dimensions > n:
        kernel -= 1
    area_, bias = n / kernel**dimensions, bool(rng.random() < 0.7)
    if more.get("depthwise"):
        channels = max(1, round(area_))
        return make(channels, channels, kernel, groups=channels, bias=bias)
    groups = pick(rng, 2, 4) if more.get("grouped") else 1
    a, b = area(max(1.0, area_ / groups), rng)
    return make(a * groups, b * groups, kernel, groups=groups, bias=bias)


def bilinear(n: float, rng: Rng) -> nn.Module:
    a = max(1, round(n ** (1 / 3)))
    return nn.Bilinear(a, max(1, a + int(rng.integers(-1, 2))), a)


def recurrence(make: Callable[..., nn.Module], gates: int, n: float, rng: Rng) -> nn.Module:
    hidden = max(1, round(math.sqrt(n / gates / 2)))
    if "Cell" in make.__name__:
        return make(hidden, hidden)
    more = {"bidirectional": bool(rng.random() < 0.3), "num_layers": pick(rng, 1, 1, 2)}
    if make is nn.LSTM and rng.random() < 0.3 and hidden > 1:
        more["proj_size"] = max(1, hidden // 2)
    return make(max(1, hidden + int(rng.integers(-1, 2))), hidden, **more)


def embedding(n: float, rng: Rng, *, padded: bool = False) -> nn.Module:
    rows, width = area(n, rng)
    make = pick(rng, nn.Embedding, nn.Embedding, nn.EmbeddingBag)
    return make(rows, width, padding_idx=0 if padded else None)


def attention(n: float, _: Rng, *, others: bool = False, bias_kv: bool = False) -> nn.Module:
    width = 2 * max(1, side(n / 4) // 2)
    more = {"kdim": width + 1, "vdim": max(1, width - 1)} if others else {}
    return nn.MultiheadAttention(width, 2, add_bias_kv=bias_kv, **more)


def encoder(n: float, _: Rng) -> nn.Module:
    width = 2 * max(1, side(n / 12) // 2)
    return nn.TransformerEncoderLayer(width, 2, 4 * width)


def transformer(n: float, _: Rng) -> nn.Module:
    width = 2 * max(1, side(n / 28) // 2)
    return nn.Transformer(width, 2, 1, 1, 4 * width)


def norm(make: Callable[..., nn.Module], n: float, _: Rng) -> nn.Module:
    width = max(1, round(min(n, 20_000) / 2))
    if make is nn.GroupNorm:
        return make(1, width)
    return make(width)


def moved_statistics(n: float, _: Rng) -> nn.Module:
    """Batch normalisation whose own weights are at their start, while its averages moved on."""
    layer = nn.BatchNorm2d(max(1, round(min(n, 20_000) / 2)))
    with torch.no_grad():
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
        layer.num_batches_tracked.fill_(63)
    return layer


def prelu(n: float, rng: Rng) -> nn.Module:
    return nn.PReLU(pick(rng, 1, max(1, round(min(n, 2000)))))


DEFAULT: dict[str, Callable[[float, Rng], nn.Module]] = {
    "Linear": linear,
    "Conv1d": partial(convolution, nn.Conv1d, 1),
    "Conv2d": partial(convolution, nn.Conv2d, 2),
    "Conv3d": partial(convolution, nn.Conv3d, 3),
    "Conv2d grouped": partial(convolution, nn.Conv2d, 2, grouped=True),
    "Conv2d depthwise": partial(convolution, nn.Conv2d, 2, depthwise=True),
    "ConvTranspose1d": partial(convolution, nn.ConvTranspose1d, 1),
    "ConvTranspose2d": partial(convolution, nn.ConvTranspose2d, 2),
    "ConvTranspose2d grouped": partial(convolution, nn.ConvTranspose2d, 2, grouped=True),
    "Bilinear": bilinear,
    "RNN": partial(recurrence, nn.RNN, 1),
    "GRU": partial(recurrence, nn.GRU, 3),
    "LSTM": partial(recurrence, nn.LSTM, 4),
    "RNNCell": partial(recurrence, nn.RNNCell, 1),
    "GRUCell": partial(recurrence, nn.GRUCell, 3),
    "LSTMCell": partial(recurrence, nn.LSTMCell, 4),
    "Embedding": embedding,
    "Embedding padded": partial(embedding, padded=True),
    "MultiheadAttention": attention,
    "MultiheadAttention kdim": partial(attention, others=True),
    "MultiheadAttention bias_kv": partial(attention, bias_kv=True),
    "encoder layer": encoder,
    "nn.Transformer": transformer,
    "BatchNorm": partial(norm, nn.BatchNorm2d),
    "BatchNorm, averages moved": moved_statistics,
    "LayerNorm": partial(norm, nn.LayerNorm),
    "GroupNorm": partial(norm, nn.GroupNorm),
    "RMSNorm": partial(norm, nn.RMSNorm),
    "PReLU": prelu,
}


def lecun(weight: Tensor) -> object:
    """Flax's: a normal of variance 1/fan_in after it is cut off at two deviations."""
    fan_in = weight[0].numel()
    deviation = math.sqrt(1 / fan_in) / 0.87962566103423978
    return nn.init.trunc_normal_(weight, 0, deviation, -2 * deviation, 2 * deviation)


def scaled(weight: Tensor) -> object:
    """GPT-2's for what is added to the residual stream, here of 12 layers."""
    return nn.init.normal_(weight, 0, 0.02 / math.sqrt(2 * 12))


INITS: dict[str, Callable[[Tensor], object]] = {
    "normal .02": partial(nn.init.normal_, std=0.02),
    "trunc normal .02": partial(nn.init.trunc_normal_, std=0.02),
    "GPT-2 residual": scaled,
    "xavier uniform": nn.init.xavier_uniform_,
    "xavier normal": nn.init.xavier_normal_,
    "kaiming uniform fan in": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming normal fan in": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "kaiming uniform fan out": partial(
        nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="relu"
    ),
    "kaiming normal fan out": partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
    "Flax lecun": lecun,
    "orthogonal": nn.init.orthogonal_,
}


def custom(name: str, n: float, rng: Rng) -> nn.Module:
    if name == "orthogonal":
        n = min(n, 3e5)  # the decomposition of a large matrix is slow
    layer = pick(rng, linear, partial(convolution, nn.Conv2d, 2))(n, rng)
    INITS[name](layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


KINDS: dict[str, Callable[[float, Rng], nn.Module]] = DEFAULT | {
    f"init {name}": partial(custom, name) for name in INITS
}


@cache
def host(index: int, seed: int) -> nn.Module:
    """A network that learned for some steps, so that every value of it moved."""
    rng = np.random.default_rng((seed, 77, index))
    torch.manual_seed(int(rng.integers(2**31)))
    network = (mlp, lenet, recurrent)[index % 3](rng)
    make = pick(rng, partial(torch.optim.SGD, lr=0.1), partial(torch.optim.Adam, lr=1e-3))
    learn(network, make(network.parameters()), steps=int(rng.integers(30, 63)))
    return getattr(network, "body", network)


def fresh(index: int, seed: int) -> Fresh:
    """Make the fresh layer of an index, in a network of which the rest learned."""
    kind = list(KINDS)[index % len(KINDS)]
    rng = np.random.default_rng((seed, 1, index))
    around = deepcopy(host(int(rng.integers(HOSTS)), seed))
    torch.manual_seed(int(rng.integers(2**31)))
    wanted = math.exp(float(rng.uniform(0, math.log(MOST))))
    layer = KINDS[kind](wanted, rng)
    return Fresh(Host(around, layer), kind, f"fresh {index}: {kind}, about {wanted:.0f} values")


def keras_files(count: int, seed: int, folder: Path) -> Iterator[tuple[Path, str, int]]:
    """Keras models of which the layer ``fresh`` is as it was made: file, kind and values.

    Nothing where Keras is not installed. The other layers' values are moved by noise, as Keras'
    training is slow to begin.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError:
        return
    logging.getLogger("absl").setLevel(logging.ERROR)  # Keras says that HDF5 is its old format
    rng = np.random.default_rng((seed, 2))
    makers = {
        "Dense": lambda n: keras.layers.Dense(n, name="fresh"),
        "Conv2D": lambda n: keras.layers.Conv2D(n, 3, padding="same", name="fresh"),
        "DepthwiseConv2D": lambda _: keras.layers.DepthwiseConv2D(3, name="fresh"),
        "LSTM": lambda n: keras.layers.LSTM(n, name="fresh"),
        "GRU": lambda n: keras.layers.GRU(n, name="fresh"),
    }
    for index in range(count):
        kind = list(makers)[index % len(makers)]
        keras.utils.set_random_seed(int(rng.integers(2**31)))
        width = round(math.exp(float(rng.uniform(0, math.log(200)))))
        flat = kind in {"LSTM", "GRU", "Dense"}
        model = keras.Sequential(
            [
                keras.Input((6, 8) if flat else (6, 6, 4)),
                keras.layers.Dense(max(2, width), name="before"),
                makers[kind](width),
                keras.layers.Flatten(),
                keras.layers.Dense(10, name="after"),
            ]
        )
        for name in ("before", "after"):
            layer = model.get_layer(name)
            layer.set_weights(
                [w + rng.normal(0, 0.05, w.shape).astype(w.dtype) for w in layer.get_weights()]
            )
        path = folder / ("model.keras" if index % 2 else "model.h5")
        model.save(path)
        yield path, f"Keras {kind}", int(model.get_layer("fresh").count_params())
