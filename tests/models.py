"""Modules of every sort that the tests open: each class of torch.nn, and networks of several."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Make = Callable[[], nn.Module]


def _ring() -> list[nn.Module]:
    return [nn.Linear(4, 4), nn.ReLU()]


def _encoder() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 16)


def _decoder() -> nn.Module:
    return nn.TransformerDecoderLayer(8, 2, 16)


# The constructor's arguments of each class of torch.nn that needs some.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **{f"AdaptiveAvgPool{d}d": (3,) for d in (1, 2, 3)},
    **{f"AdaptiveMaxPool{d}d": (3,) for d in (1, 2, 3)},
    **{f"AvgPool{d}d": (3, 2) for d in (1, 2, 3)},
    **{f"MaxPool{d}d": (3, 2) for d in (1, 2, 3)},
    **{f"MaxUnpool{d}d": (3, 2) for d in (1, 2, 3)},
    **{f"LPPool{d}d": (2, 3) for d in (1, 2, 3)},
    **{f"FractionalMaxPool{d}d": (3, 2) for d in (2, 3)},
    **{f"BatchNorm{d}d": (6,) for d in (1, 2, 3)},
    **{f"InstanceNorm{d}d": (6,) for d in (1, 2, 3)},
    **{f"Conv{d}d": (4, 6, 3) for d in (1, 2, 3)},
    **{f"ConvTranspose{d}d": (4, 6, 3) for d in (1, 2, 3)},
    **{f"LazyConv{d}d": (6, 3) for d in (1, 2, 3)},
    **{f"LazyConvTranspose{d}d": (6, 3) for d in (1, 2, 3)},
    **{f"{how}Pad{d}d": (2,) for how in ("Circular", "Reflection", "Replication", "Zero")
       for d in (1, 2, 3)},
    **{f"ConstantPad{d}d": (2, 0.5) for d in (1, 2, 3)},
    **dict.fromkeys(("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"), (4, 6)),
    "AdaptiveLogSoftmaxWithLoss": (8, 20, [5, 10]),
    "Bilinear": (3, 4, 5),
    "ChannelShuffle": (2,),
    "CrossMapLRN2d": (2,),
    "DataParallel": (nn.Linear(2, 2),),
    "Embedding": (10, 4),
    "EmbeddingBag": (10, 4),
    "Fold": ((4, 5), (2, 2)),
    "GroupNorm": (2, 6),
    "LayerNorm": ((3, 4),),
    "LazyLinear": (3,),
    "Linear": (3, 2),
    "LinearCrossEntropyLoss": (4, 3),
    "LocalResponseNorm": (2,),
    "ModuleDict": ({"b": nn.Linear(1, 2), "a": nn.ReLU()},),
    "ModuleList": (_ring() + _ring(),),
    "MultiheadAttention": (8, 2),
    "ParameterDict": ({"b": torch.ones(2), "a": torch.ones(1, 3)},),
    "ParameterList": ([nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, 3))],),
    "PixelShuffle": (2,),
    "PixelUnshuffle": (2,),
    "RMSNorm": (4,),
    "RNNBase": ("GRU", 3, 4),
    "RNNCellBase": (3, 4, True, 2),
    "SyncBatchNorm": (6,),
    "Sequential": tuple(_ring() + _ring()),
    "Threshold": (0.5, 1.0),
    "Transformer": (8, 2, 1, 2, 16),
    "TransformerDecoder": (_decoder(), 2),
    "TransformerDecoderLayer": (8, 2, 16),
    "TransformerEncoder": (_encoder(), 2, None, False),
    "TransformerEncoderLayer": (8, 2, 16),
    "Unflatten": (1, (2, 3)),
    "Unfold": (3,),
}  # fmt: skip


def classes() -> dict[str, type[nn.Module]]:
    """Every class of module that torch.nn has."""
    return {
        name: kind
        for name, kind in vars(nn).items()
        if isinstance(kind, type) and issubclass(kind, nn.Module)
    }


def construct(name: str) -> nn.Module:
    """Make one module of a class of torch.nn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = classes()[name](*ARGUMENTS.get(name, ()))
    assert isinstance(module, nn.Module)
    return module


class Article(nn.Module):
    """The small convolutional network of the article."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 12, 5)
        self.fc1 = nn.Linear(12 * 4 * 4, 120)
        self.fc2 = nn.Linear(120, 60)
        self.out = nn.Linear(60, 10)


class Residual(nn.Module):
    """A block of a ResNet."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            if stride > 1
            else None
        )


class ResNet(nn.Module):
    """A small ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Residual(8, 8, 1), Residual(8, 8, 1))
        self.layer2 = nn.Sequential(Residual(8, 16, 2), Residual(16, 16, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)


class Tagger(nn.Module):
    """An LSTM that tags words."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8, padding_idx=0)
        self.lstm = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.hidden2tag = nn.Linear(12, 5)


class Conv1D(nn.Module):
    """GPT-2's layer as Hugging Face writes it: a Linear stored transposed."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf = nf
        self.nx = nx
        self.weight = nn.Parameter(torch.empty(nx, nf).normal_(0, 0.02))
        self.bias = nn.Parameter(torch.zeros(nf))

    def __repr__(self) -> str:
        return f"Conv1D(nf={self.nf}, nx={self.nx})"


class Attention(nn.Module):
    """The attention of a GPT block, with its mask in a buffer."""

    def __init__(self, width: int, *, transposed: bool) -> None:
        super().__init__()
        self.register_buffer("bias", torch.ones(6, 6, dtype=torch.bool).tril()[None, None])
        self.c_attn = Conv1D(3 * width, width) if transposed else nn.Linear(width, 3 * width)
        self.c_proj = Conv1D(width, width) if transposed else nn.Linear(width, width)


class Feed(nn.Module):
    """The feed-forward part of a GPT block."""

    def __init__(self, width: int, *, transposed: bool) -> None:
        super().__init__()
        self.c_fc = Conv1D(4 * width, width) if transposed else nn.Linear(width, 4 * width)
        self.c_proj = Conv1D(width, 4 * width) if transposed else nn.Linear(4 * width, width)


class Block(nn.Module):
    """A block of a GPT."""

    def __init__(self, width: int, *, transposed: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, transposed=transposed)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Feed(width, transposed=transposed)


class GPT(nn.Module):
    """A small GPT whose head is tied to its token embedding.

    Args:
        transposed: store matrices as Hugging Face's GPT-2 does; else as nanoGPT does.
    """

    def __init__(self, *, transposed: bool = True) -> None:
        super().__init__()
        self.wte = nn.Embedding(30, 8)
        self.wpe = nn.Embedding(6, 8)
        self.h = nn.ModuleList(Block(8, transposed=transposed) for _ in range(2))
        self.ln_f = nn.LayerNorm(8)
        self.lm_head = nn.Linear(8, 30, bias=False)
        self.lm_head.weight = self.wte.weight


class Odd(nn.Module):
    """Names, children and printing that are out of the ordinary."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.nothing = None
        self.register_module("later", None)
        self.register_parameter("missing", None)
        self.register_buffer("empty", None)
        self.scale = nn.Parameter(torch.tensor(2.0), requires_grad=False)
        self.añadir = nn.Linear(2, 2)
        self.add_module("层", nn.ModuleDict({"käse brot": nn.ReLU(), "🎈": Custom()}))
        self.params = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(12)])

    def extra_repr(self) -> str:
        return "first line\nsecond line"


class Custom(nn.Module):
    """Prints what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 1)

    def __repr__(self) -> str:
        return f"Custom<{self.inner.out_features}>\n  on two lines"


class Raises(nn.Module):
    """Cannot be printed."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 1)

    def __repr__(self) -> str:
        raise RuntimeError("this module will not be printed")


class Shared(nn.Module):
    """One layer under three parents, one Parameter under two names, two over one storage."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(3, 3)
        self.first = nn.Sequential(layer, nn.ReLU())
        self.second = nn.Sequential(nn.Sequential(layer), layer)
        self.alone = layer
        self.own = nn.Parameter(torch.ones(4))
        self.again = self.own


def weight_normed() -> nn.Module:
    """Both weight_norms, spectral_norm and orthogonal."""
    made = nn.utils.parametrizations
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(
            made.weight_norm(nn.Linear(3, 4)),
            nn.utils.weight_norm(nn.Conv2d(4, 6, 3)),
            made.spectral_norm(nn.Conv1d(6, 5, 2)),
            nn.utils.spectral_norm(nn.Linear(5, 7)),
            made.orthogonal(nn.Linear(7, 7)),
        )


def pruned() -> nn.Module:
    """Half of the values pruned away, under a mask."""
    from torch.nn.utils import prune

    module = nn.Sequential(nn.Linear(6, 4), nn.Conv2d(3, 4, 2))
    prune.l1_unstructured(module[0], "weight", 0.5)
    prune.random_unstructured(module[0], "bias", 0.5)
    prune.random_unstructured(module[1], "weight", 0.5)
    return module


def frozen() -> nn.Module:
    """A training network with a frozen BatchNorm in eval mode and only biases trainable."""
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2))
    module[1].eval()
    for name, parameter in module.named_parameters():
        parameter.requires_grad = name.endswith("bias") and not name.startswith("1.")
    return module


def dynamic_int8() -> nn.Module:
    """Linear layers that keep int8 weights outside their Parameters: 262 of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(
            nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 2)), {nn.Linear}
        )


class Recurrents(nn.Module):
    """Recurrent layers and cells."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3, num_layers=2, bidirectional=True)
        self.gru = nn.GRU(4, 3)
        self.cells = nn.ModuleList([nn.LSTMCell(4, 3), nn.GRUCell(4, 3), nn.RNNCell(4, 3)])


def dynamic_recurrent() -> nn.Module:
    """Recurrent layers quantized to int8."""
    kinds = {nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(Recurrents(), kinds)


def int8_embedding() -> nn.Module:
    """Embeddings quantized to 8 and 4 bits."""
    quantized = torch.ao.nn.quantized
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(
            quantized.Embedding(10, 12),
            quantized.EmbeddingBag(10, 12, mode="sum", include_last_offset=True),
            quantized.EmbeddingBag(10, 12, mode="sum", dtype=torch.quint4x2),
        )


def static_int8() -> nn.Module:
    """Convolutions and a Linear with int8 weights and scales for each channel."""
    quantization = torch.ao.quantization
    module = nn.Sequential(
        quantization.QuantStub(),
        nn.Conv2d(3, 4, 2, padding=1, groups=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 16, 2),
        quantization.DeQuantStub(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.eval()
        module = quantization.fuse_modules(module, ["1", "2"])
        module.qconfig = quantization.get_default_qconfig("x86")
        quantization.prepare(module, inplace=True)
        module(torch.rand(2, 3, 3, 3))
        return quantization.convert(module)


def views() -> nn.Module:
    """Two Parameters over one storage of 36 values, and buffers that overlap or repeat."""
    module = nn.Module()
    stored = torch.arange(36.0)
    module.a = nn.Parameter(stored.view(6, 6))
    module.b = nn.Parameter(stored.view(6, 6).t())
    module.register_buffer("repeated", torch.ones(1, 5).expand(7, 5))
    module.register_buffer("low", stored[:20])
    module.register_buffer("high", stored[10:30])
    return module


def transformer() -> nn.Module:
    """The whole Transformer, encoder and decoder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Transformer(8, 2, 2, 2, 16)


NETWORKS: dict[str, Make] = {
    "article": Article,
    "resnet": ResNet,
    "tagger": Tagger,
    "gpt2": GPT,
    "nanogpt": lambda: GPT(transposed=False),
    "transformer": transformer,
    "odd": Odd,
    "shared": Shared,
    "weight_normed": weight_normed,
    "pruned": pruned,
    "frozen": frozen,
    "dynamic_int8": dynamic_int8,
    "dynamic_recurrent": dynamic_recurrent,
    "int8_embedding": int8_embedding,
    "static_int8": static_int8,
    "views": views,
    "meta": lambda: Article().to("meta"),
    "lazy": lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(2)),
    "half": lambda: Article().to(torch.bfloat16),
}


def deterministic() -> None:
    """Start the random numbers of a test at the same place."""
    torch.manual_seed(0)
