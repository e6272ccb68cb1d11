"""Small networks of many kinds that learn real digits, in a few seconds or less each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as PyTorch's users write it

from weigh._tour.digits import find_small, read_small

Rng = np.random.Generator
BATCH = 64


class Run(NamedTuple):
    """A network that was made and trained, as it was at first and as it is now."""

    network: nn.Module
    first: dict[str, Tensor]
    name: str
    frozen: str


class Head(nn.Module):
    """What is done to images before a network sees them; it has no parameters."""

    def __init__(self, body: nn.Module, view: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.view = body, view

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self.view(images))


@cache
def digits() -> tuple[Tensor, Tensor]:
    """The 4,000 images that are learned from, from -0.5 to 0.5, and their labels."""
    found = read_small(find_small(), 0)
    images = torch.from_numpy(found.train_images).float()[:, None] / 255 - 0.5
    return images, torch.from_numpy(found.train_labels).long()


def flat(images: Tensor) -> Tensor:
    return images.flatten(1)


def small(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, 2)


def small_flat(images: Tensor) -> Tensor:
    return small(images).flatten(1)


def as_rows(images: Tensor) -> Tensor:
    return images[:, 0]


def small_rows(images: Tensor) -> Tensor:
    return small(images)[:, 0]


def as_tokens(images: Tensor) -> Tensor:
    """The 49 means of 4 x 4 pixels, in 16 steps."""
    return ((F.avg_pool2d(images, 4) + 0.5) * 15.99).long().flatten(1)


def pick(rng: Rng, *choices):
    return choices[int(rng.integers(len(choices)))]


def activation(rng: Rng) -> nn.Module:
    return pick(rng, nn.ReLU, nn.ReLU, nn.Tanh, nn.GELU, nn.PReLU, nn.Sigmoid, nn.SiLU)()


def mlp(rng: Rng) -> nn.Module:
    view, width = pick(rng, (flat, 784), (small_flat, 196))
    parts: list[nn.Module] = []
    norm = pick(rng, None, None, nn.LayerNorm, nn.BatchNorm1d, nn.RMSNorm)
    for _ in range(int(rng.integers(1, 5))):
        out = pick(rng, 3, 6, 10, 16, 32, 64, 128)
        parts.append(nn.Linear(width, out, bias=bool(rng.random() < 0.85)))
        if norm is not None:
            parts.append(norm(out))
        parts.append(activation(rng))
        width = out
    return Head(nn.Sequential(*parts, nn.Linear(width, 10)), view)


def lenet(rng: Rng) -> nn.Module:
    """LeNet's shape, with the sigmoid of old or with ReLU, in several widths."""
    act = pick(rng, nn.Sigmoid, nn.ReLU, nn.Tanh)
    a, b = pick(rng, (6, 12), (6, 16), (2, 4))
    c, d = pick(rng, (120, 60), (32, 16))
    return nn.Sequential(
        *(nn.Conv2d(1, a, 5), act(), nn.MaxPool2d(2)),
        *(nn.Conv2d(a, b, 5), act(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(b * 16, c), act(), nn.Linear(c, d), act(), nn.Linear(d, 10)),
    )


def norm2d(rng: Rng, width: int) -> nn.Module:
    if rng.random() < 0.6:
        return nn.BatchNorm2d(width)
    return nn.GroupNorm(pick(rng, 1, 2), width)


def deep(rng: Rng) -> nn.Module:
    """Up to seven convolutions with norms."""
    width, parts = 1, []
    base = pick(rng, 4, 6, 8)
    for i in range(int(rng.integers(3, 8))):
        out = base * (1 + i // 2)
        step = 2 if i in (2, 4) else 1
        bias = bool(rng.random() < 0.5)
        parts += [nn.Conv2d(width, out, 3, step, 1, bias=bias), norm2d(rng, out), activation(rng)]
        width = out
    return Head(
        nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)), small
    )


def depthwise(rng: Rng) -> nn.Module:
    width = pick(rng, 4, 8, 12)
    parts: list[nn.Module] = [nn.Conv2d(1, width, 3, 2, 1), nn.ReLU()]
    for _ in range(int(rng.integers(1, 4))):
        parts += [nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False), norm2d(rng, width)]
        parts += [nn.Conv2d(width, width, 1), nn.ReLU()]
    parts += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10)]
    return nn.Sequential(*parts)


class Block(nn.Module):
    """A residual block, whose last norm may begin at zero."""

    def __init__(self, width: int, rng: Rng) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1 = norm2d(rng, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = norm2d(rng, width)
        if rng.random() < 0.4:
            nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(inner)))


def residual(rng: Rng) -> nn.Module:
    width = pick(rng, 4, 8, 12)
    blocks = [Block(width, rng) for _ in range(int(rng.integers(1, 4)))]
    stem = (nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
    end = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10))
    return Head(nn.Sequential(*stem, *blocks, *end), small)


class Recurrent(nn.Module):
    def __init__(self, rng: Rng, steps: int) -> None:
        super().__init__()
        hidden = pick(rng, 3, 8, 16, 32)
        kind = pick(rng, nn.RNN, nn.LSTM, nn.LSTM, nn.GRU)
        more = {"num_layers": pick(rng, 1, 1, 2), "bidirectional": bool(rng.random() < 0.3)}
        if kind is nn.LSTM and rng.random() < 0.3:
            more["proj_size"] = max(1, hidden // 2)
        self.rnn = kind(steps, hidden, batch_first=True, **more)
        width = (more.get("proj_size") or hidden) * (2 if more["bidirectional"] else 1)
        self.norm = nn.LayerNorm(width) if rng.random() < 0.5 else nn.Identity()
        self.out = nn.Linear(width, 10)

    def forward(self, rows: Tensor) -> Tensor:
        return self.out(self.norm(self.rnn(rows)[0].mean(1)))


def recurrent(rng: Rng) -> nn.Module:
    view, steps = pick(rng, (as_rows, 28), (small_rows, 14))
    return Head(Recurrent(rng, steps), view)


class Vit(nn.Module):
    def __init__(self, rng: Rng) -> None:
        super().__init__()
        width = pick(rng, 8, 16, 32)
        self.patch = nn.Conv2d(1, width, 7, 7)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, width) * 0.02)
        act = pick(rng, "relu", "gelu")
        first = bool(rng.random() < 0.5)
        make = partial(nn.TransformerEncoderLayer, width, 2, 2 * width, 0.0, act, norm_first=first)
        layers = [make(batch_first=True) for _ in range(pick(rng, 1, 2))]
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x)[:, 0]))


class Tokens(nn.Module):
    """Pixels as words of a vocabulary of 16, of which those never seen stay as they were."""

    def __init__(self, rng: Rng) -> None:
        super().__init__()
        width = pick(rng, 4, 8, 16)
        self.embed = nn.Embedding(16, width, padding_idx=pick(rng, None, None, 0))
        self.position = nn.Embedding(49, width)
        if rng.random() < 0.5:
            self.body: nn.Module = nn.GRU(width, 2 * width, batch_first=True)
            wide = 2 * width
        else:
            self.body = nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, batch_first=True)
            wide = width
        self.out = nn.Linear(wide, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.body(self.embed(tokens) + self.position.weight)
        x = x[0] if isinstance(x, tuple) else x
        return self.out(x.mean(1))


class Attention(nn.Module):
    """Attention to rows of the image, with all that MultiheadAttention offers."""

    def __init__(self, rng: Rng) -> None:
        super().__init__()
        width = pick(rng, 4, 8, 16)
        self.query = nn.Linear(28, width)
        self.norm = pick(rng, nn.LayerNorm, nn.RMSNorm)(width)
        other = bool(rng.random() < 0.5)
        more = {"kdim": 28, "vdim": 28} if other else {}
        self.other, bias_kv = other, bool(rng.random() < 0.5)
        self.attend = nn.MultiheadAttention(width, 2, add_bias_kv=bias_kv, batch_first=True, **more)
        self.act = nn.PReLU()
        self.out = nn.Linear(width, 10)

    def forward(self, rows: Tensor) -> Tensor:
        query = self.norm(self.query(rows))
        seen = rows if self.other else query
        return self.out(self.act(query + self.attend(query, seen, seen)[0]).mean(1))


class Pairs(nn.Module):
    """Transposed, one-dimensional and three-dimensional convolutions, and a bilinear layer."""

    def __init__(self, rng: Rng) -> None:
        super().__init__()
        width = pick(rng, 2, 4, 6)
        self.up = nn.ConvTranspose2d(1, width, 2, 2)
        self.thick = nn.Conv3d(1, 2, (2, 3, 3), (2, 2, 2))
        self.long = nn.Conv1d(14, width, 3, 2)
        self.pair = nn.Bilinear(2 * (width // 2) * 36, width * 6, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.up(images)), 2)
        x = F.relu(self.thick(x[:, None])).flatten(1)
        y = F.relu(self.long(images[:, 0])).flatten(1)
        return self.pair(x, y)


def tiny(rng: Rng) -> nn.Module:
    """Layers of 6 to 50 values."""
    a, b = pick(rng, (1, 2), (2, 3), (3, 4))
    act = pick(rng, nn.ReLU, nn.Tanh, nn.PReLU)
    return nn.Sequential(
        *(nn.Conv2d(1, a, pick(rng, 2, 3), 2), act(), nn.Conv2d(a, b, 2, 2), nn.BatchNorm2d(b)),
        *(act(), nn.Conv2d(b, 4, 1), act(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Linear(4, 3), act(), nn.Linear(3, 10)),
    )


BUILDERS: dict[str, Callable[[Rng], nn.Module]] = {
    "MLP": mlp,
    "LeNet": lenet,
    "deep CNN": deep,
    "depthwise CNN": depthwise,
    "residual CNN": residual,
    "recurrent": recurrent,
    "ViT": lambda rng: Vit(rng),
    "tokens": lambda rng: Head(Tokens(rng), as_tokens),
    "attention": lambda rng: Head(Attention(rng), as_rows),
    "tiny CNN": tiny,
    "mixed": lambda rng: Head(Pairs(rng), small),
}

SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD .01": partial(SGD, lr=0.01),
    "SGD .1": partial(SGD, lr=0.1),
    "SGD .01 momentum .9": partial(SGD, lr=0.01, momentum=0.9),
    "Adam 1e-3": partial(ADAM, lr=1e-3),
    "Adam 1e-4": partial(ADAM, lr=1e-4),
    "AdamW 1e-3 decay .05": partial(ADAMW, lr=1e-3, weight_decay=0.05),
}
STARTS: dict[str, Callable[[Tensor], object]] = {
    "normal .02": partial(nn.init.normal_, std=0.02),
    "trunc normal .02": partial(nn.init.trunc_normal_, std=0.02),
    "xavier uniform": nn.init.xavier_uniform_,
    "xavier normal": nn.init.xavier_normal_,
    "kaiming normal": partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
}


def start(network: nn.Module, how: Callable[[Tensor], object]) -> None:
    """Give matrices and kernels other initial values, and zero to biases."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Embedding):
            how(layer.weight)
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)


def make(index: int, seed: int) -> tuple[nn.Module, str, Rng]:
    """Make the network of an index, with the values it starts from."""
    rng = np.random.default_rng((seed, index))
    torch.manual_seed(int(rng.integers(2**31)))
    kind = list(BUILDERS)[index % len(BUILDERS)]
    network = BUILDERS[kind](rng)
    how = pick(rng, "", "", *STARTS)
    if how:
        start(network, STARTS[how])
    return network, f"{index}: {kind}, {how or 'default'}", rng


def train(index: int, seed: int) -> Run:
    """Make a network and train it for an epoch, some for two or three, with some layer frozen."""
    network, name, rng = make(index, seed)
    frozen = ""
    if rng.random() < 0.25:
        frozen = _freeze(network, rng)
    first = {key: value.detach().clone() for key, value in network.named_parameters()}
    how = list(OPTIMIZERS)[int(rng.integers(len(OPTIMIZERS)))]
    epochs = pick(rng, 1, 1, 1, 1, 2, 3)
    moving = [one for one in network.parameters() if one.requires_grad]
    learn(network, OPTIMIZERS[how](moving), epochs=epochs)
    return Run(network, first, f"{name}, {how}, epochs {epochs}", frozen)


def learn(
    network: nn.Module, optimizer: torch.optim.Optimizer, *, epochs: int = 1, steps: int = 0
) -> None:
    """Train on the digits, for so many epochs or steps."""
    images, labels = digits()
    done = 0
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
            done += 1
            if done == steps:
                return


def _freeze(network: nn.Module, rng: Rng) -> str:
    """Keep one layer from learning, as one does who forgets it."""
    known = [
        path
        for path, layer in network.named_modules()
        if list(layer.parameters(recurse=False))
        and isinstance(layer, nn.Linear | nn.Conv2d | nn.Bilinear)
    ]
    path = known[int(rng.integers(len(known)))]
    network.get_submodule(path).requires_grad_(requires_grad=False)
    return path
