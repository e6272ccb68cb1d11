"""What a file prints of layers without parameters, of holders and of quantized layers."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import pytest
import torch
from test_kinds import LAYERS
from torch import nn

import weigh
from models import classes
from weigh._kinds.ao import printed_name
from weigh._kinds.holders import HOLDERS
from weigh._kinds.kind import REQUIRED
from weigh._kinds.plain import PLAIN
from weigh._kinds.table import find

pytestmark = pytest.mark.filterwarnings("ignore")

POOLS = [
    *(getattr(nn, f"MaxPool{d}d")(3, 2, 1, 2, return_indices=True, ceil_mode=True)
      for d in (1, 2, 3)),
    *(getattr(nn, f"AvgPool{d}d")(3, ceil_mode=True, count_include_pad=False) for d in (1, 2, 3)),
    *(getattr(nn, f"MaxUnpool{d}d")(2, 3, 1) for d in (1, 2, 3)),
    *(getattr(nn, f"LPPool{d}d")(1.5, 2, 3, ceil_mode=True) for d in (1, 2, 3)),
    *(getattr(nn, f"AdaptiveAvgPool{d}d")(5) for d in (1, 2, 3)),
    *(getattr(nn, f"AdaptiveMaxPool{d}d")(5, return_indices=True) for d in (1, 2, 3)),
    nn.MaxPool2d((3, 2), stride=(2, 1), padding=[1, 0]),
    nn.AdaptiveAvgPool2d((None, 7)),
    nn.FractionalMaxPool2d(2, output_ratio=(0.5, 0.6)),
    nn.FractionalMaxPool3d(2, output_size=4, return_indices=True),
]  # fmt: skip
ACTIVATIONS = [
    *(kind(inplace=True) for kind in (
        nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid)),
    nn.ELU(0.5, inplace=True), nn.CELU(2.0), nn.GELU("tanh"), nn.GLU(1), nn.Hardshrink(0.3),
    nn.Softshrink(0.25), nn.Hardtanh(-2, 3.5, inplace=True), nn.LeakyReLU(0.2, inplace=True),
    nn.RReLU(0.1, 0.4, inplace=True), nn.Softmax(dim=-1), nn.Softmin(1), nn.LogSoftmax(0),
    nn.Softplus(2, 10), nn.Threshold(0.1, 20, inplace=True), nn.Softmax2d(), nn.Tanhshrink(),
    nn.Dropout(0.2, inplace=True), nn.Dropout1d(0), nn.AlphaDropout(0.3),
]  # fmt: skip
SHAPES = [
    nn.Flatten(0, 2), nn.Unflatten(1, (2, 5)), nn.Unflatten(1, torch.Size([2, 5])),
    nn.Unflatten(1, [2, 5]), nn.Fold((4, 5), (2, 3), dilation=2, stride=(1, 2)),
    nn.Unfold(3, padding=1), nn.PixelShuffle(3), nn.PixelUnshuffle(2), nn.ChannelShuffle(4),
    nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True), nn.Upsample(size=(3, 4)),
    nn.Upsample(scale_factor=(2, 3)), nn.UpsamplingNearest2d(scale_factor=2),
    nn.UpsamplingBilinear2d(size=7), nn.LocalResponseNorm(3, alpha=1e-3, k=2.0),
    nn.CrossMapLRN2d(5, 1e-3), nn.CosineSimilarity(0, 1e-6), nn.PairwiseDistance(1, keepdim=True),
    *(getattr(nn, f"{how}Pad{d}d")(tuple(range(1, 2 * d + 1)))
      for how in ("Circular", "Reflection", "Replication", "Zero") for d in (1, 2, 3)),
    *(getattr(nn, f"ConstantPad{d}d")(1, 3.5) for d in (1, 2, 3)),
]  # fmt: skip
LOSSES = [
    nn.CrossEntropyLoss(weight=torch.ones(3), label_smoothing=0.1, ignore_index=2),
    nn.HuberLoss(delta=2.0), nn.CTCLoss(blank=1, zero_infinity=True), nn.TripletMarginLoss(0.5, 1),
    nn.TripletMarginWithDistanceLoss(margin=2.0), nn.GaussianNLLLoss(full=True),
    nn.LinearCrossEntropyLoss(4, 3, out_features=(2,), bias=True, label_smoothing=0.1),
    nn.AdaptiveLogSoftmaxWithLoss(64, 20, [5, 10], head_bias=True),
]  # fmt: skip
HOLDING = [
    nn.ParameterList(), nn.ParameterDict(),
    nn.ParameterList([torch.ones(2, dtype=torch.float64), nn.Parameter(torch.tensor(1.0))]),
    nn.ParameterList([torch.ones(2), 3, "text"]),
    nn.ParameterList(torch.ones(i) for i in range(12)),
    nn.ParameterList([nn.ParameterList([torch.ones(3)]), torch.ones(1)]),
    nn.ParameterDict({"b": torch.ones(2, 3).bfloat16(), "a": nn.Parameter(torch.ones(()))}),
    nn.Sequential(nn.ParameterDict({"x": torch.ones(1)}), nn.ReLU()),
]  # fmt: skip


def nested() -> list[nn.Module]:
    """Containers in containers; old and lazy layers warn when they are made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _nested()


def _nested() -> list[nn.Module]:
    return [
        nn.Sequential(), nn.ModuleList(), nn.ModuleDict(),
        nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU()),  # unlike a list, it is not folded
        nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Linear(1, 2), nn.Linear(1, 2), nn.ReLU()]),
        nn.ModuleList([nn.Sequential(nn.Linear(2, 2), nn.Tanh()) for _ in range(11)]),
        nn.ModuleDict({"10": nn.ReLU(), "11": nn.ReLU(), "12": nn.ModuleList([nn.Tanh()] * 3)}),
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, norm_first=True), 3),
        nn.Transformer(8, 2, 1, 2, 16, activation="gelu", batch_first=True, bias=False),
        nn.Sequential(nn.LazyConv2d(3, 2, stride=2), nn.LazyInstanceNorm2d(), nn.LazyLinear(3)),
        nn.utils.weight_norm(nn.Linear(2, 3, bias=False)),
        nn.utils.spectral_norm(nn.Conv1d(2, 3, 1)),
    ]  # fmt: skip


EVERY = [*POOLS, *ACTIVATIONS, *SHAPES, *LOSSES, *HOLDING, *nested(), *LAYERS]


def ids(module: nn.Module) -> str:
    return f"{type(module).__name__}({module.extra_repr()})"[:60].replace("\n", " ")


@pytest.mark.parametrize("module", EVERY, ids=ids)
def test_a_file_prints_what_the_module_printed(module: nn.Module, tmp_path: Path) -> None:
    torch.save(module, tmp_path / "net.pt")
    assert repr(weigh.open(tmp_path / "net.pt")) == repr(module)


def test_every_class_of_torch_nn_has_its_line() -> None:
    known = {name for name in classes() if find(name.removeprefix("Lazy")) or name in HOLDERS}
    plain = {"Module", "Container"}
    assert set(classes()) - known - set(PLAIN) <= plain
    assert not known & set(PLAIN)


@pytest.mark.parametrize("name", sorted(set(PLAIN) & set(classes())))
def test_defaults_are_those_of_the_constructor(name: str) -> None:
    arguments = inspect.signature(classes()[name].__init__).parameters
    for spec in PLAIN[name].specs:
        if spec.name in arguments:
            default = arguments[spec.name].default
            expected = REQUIRED if default is inspect.Parameter.empty else default
            assert spec.default == expected, spec.name


def quantized_classes() -> list[type[nn.Module]]:
    homes = (
        torch.ao.nn.quantized, torch.ao.nn.quantized.dynamic, torch.ao.nn.quantized.reference,
        torch.ao.nn.intrinsic.quantized, torch.ao.nn.intrinsic.quantized.dynamic,
        torch.ao.nn.quantizable,
    )  # fmt: skip
    found = {one for home in homes for one in vars(home).values() if isinstance(one, type)}
    kinds = [one for one in found if issubclass(one, nn.Module) and "torch.ao" in one.__module__]
    return sorted(kinds, key=lambda one: f"{one.__module__}.{one.__qualname__}")


@pytest.mark.parametrize("kind", quantized_classes(), ids=lambda k: f"{k.__module__}.{k.__name__}")
def test_quantized_classes_print_their_own_names(kind: type[nn.Module]) -> None:
    module = kind.__new__(kind)
    path = f"{kind.__module__}.{kind.__qualname__}"
    assert (printed_name(path) or kind.__name__) == module._get_name()


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
def test_quantized_convolutions(name: str, rank: int, tmp_path: Path) -> None:
    home = torch.ao.nn.quantized
    more = {"padding": 1, "groups": 2, "dilation": 2}
    module = getattr(home, f"{name}{rank}d")(4, 6, 3, stride=2, bias=rank != 2, **more)
    # It pickles as a tuple, not as the tables of a module.
    for one in (module, nn.Sequential(module)):
        torch.save(one, tmp_path / "net.pt")
        assert repr(weigh.open(tmp_path / "net.pt")) == repr(one)
