"""Which layer fed another: said where names and order make it plain, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import weigh
from article import SHAPES, arrays, write_safetensors
from models import Article, ResNet


def why(network: object, name: str) -> str:
    [explained] = weigh.explain(network, name)
    return next((reason.why for reason in explained.axes if reason.why), "")


def zeros(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name.replace("__", "."): np.zeros(shape, "f4") for name, shape in shapes.items()}


@pytest.fixture
def as_file(tmp_path: Path):
    """Give arrays as a safetensors file, which says nothing about their order."""
    return lambda tensors: write_safetensors(
        tmp_path / "net.safetensors", dict(sorted(tensors.items()))
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("conv1.weight", "the input's channels: one channel, as in a grey image (inferred)"),
        ("conv2.weight", "conv1 gives 6 channels (inferred)"),
        (
            "fc1.weight",
            "192 = 12 x 4 x 4: conv2 gives 12 channels, and 4 x 4 places of each are left "
            "(inferred)",
        ),
        ("fc2.weight", "fc1 gives 120 numbers (inferred)"),
        ("out.weight", "fc2 gives 60 numbers (inferred)"),
    ],
)
def test_the_article(as_file, name: str, reason: str) -> None:
    assert set(arrays()) == set(SHAPES)
    assert why(arrays(), name) == reason
    assert why(as_file(arrays()), name) == reason
    assert why(Article(), name) == reason


def test_an_alphabetical_order_proves_nothing(as_file) -> None:
    tensors = zeros(
        aux__weight=(16, 8),
        body__weight=(32, 16, 3, 3),
        head__weight=(8, 32),
        stem__weight=(16, 3, 3, 3),
    )
    for name in tensors:
        assert why(as_file(tensors), name) == ""


def test_query_key_and_value_stand_beside_each_other() -> None:
    tensors = zeros(
        attention__query__weight=(32, 32),
        attention__query__bias=(32,),
        attention__key__weight=(32, 32),
        attention__key__bias=(32,),
        attention__value__weight=(32, 32),
        attention__value__bias=(32,),
    )
    for name in ("query", "key", "value"):
        assert why(tensors, f"attention.{name}.weight") == ""


def test_a_branch_feeds_nothing() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 8, 3)
            self.downsample = nn.Conv2d(3, 16, 1)
            self.conv2 = nn.Conv2d(8, 16, 3)

    block = Block()
    assert why(block, "conv2.weight") == "conv1 gives 8 channels (inferred)"
    assert why(block, "downsample.weight") == ""


def test_a_concatenation_is_no_flattening() -> None:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(64, 32, 2)
            self.conv = nn.Conv2d(64, 32, 3)

    assert why(Decoder(), "conv.weight") == ""


@pytest.mark.parametrize(
    ("recurrent", "size"),
    [
        (nn.LSTM(4, 8, bidirectional=True), 16),
        (nn.LSTM(4, 8, proj_size=5), 5),
        (nn.GRU(4, 8), 8),
    ],
)
def test_what_a_recurrent_layer_gives(recurrent: nn.Module, size: int) -> None:
    tagger = nn.Sequential(recurrent, nn.Linear(size, 3))
    assert why(tagger, "1.weight") == f"0 gives {size} numbers (inferred)"


def test_numbers_in_a_sequential(as_file) -> None:
    network = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6))
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    assert why(as_file(tensors), "2.weight") == "0 gives 5 numbers (inferred)"


def test_one_dimension_is_flattened_to_a_product() -> None:
    network = nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 7, 2))
    assert why(network, "2.weight").startswith("28 = 4 x 7: 0 gives 4 channels, and 7 places")


def test_nothing_is_said_of_an_empty_layer() -> None:
    tensors = zeros(fc1__weight=(3, 0), fc1__bias=(3,), fc2__weight=(0, 3), fc2__bias=(0,))
    assert why(tensors, "fc1.weight") == ""
    assert why(tensors, "fc2.weight") == "fc1 gives 3 numbers (inferred)"


class Holding(nn.Module):
    """Layers as attributes, in the order of the arguments."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)


def line(into: int, out: int) -> nn.Module:
    return nn.Linear(into, out)


PARALLEL: list[nn.Module] = [
    Holding(query=line(8, 8), key=line(8, 8), value=line(8, 8), out=line(8, 8)),
    Holding(queries=line(8, 8), keys=line(8, 8), values=line(8, 8)),
    Holding(W_q=line(8, 8), W_k=line(8, 8), W_v=line(8, 8)),
    Holding(w_q=line(8, 8), w_k=line(8, 8), w_v=line(8, 8), w_o=line(8, 8)),
    Holding(q=line(8, 8), k=line(8, 8), v=line(8, 8)),
    Holding(actor=line(8, 8), critic=line(8, 8)),
    Holding(mu=line(8, 8), logvar=line(8, 8)),
    Holding(user=nn.Sequential(line(8, 8)), item=nn.Sequential(line(8, 8))),
    Holding(mean=line(8, 4), logvar=line(8, 4), decoder=line(4, 8)),
    Holding(enc=nn.LSTM(5, 6), dec=nn.LSTM(6, 6)),
    Holding(enc=nn.LSTM(5, 6), dec=nn.LSTM(6, 7)),
    Holding(a=nn.Embedding(10, 6), b=nn.Embedding(10, 6), top=line(6, 3)),
    Holding(w1=line(8, 20), w2=line(20, 8), w3=line(8, 20)),
    Holding(head1=line(8, 8), head2=line(8, 8)),
    Holding(experts=nn.ModuleList([line(8, 8), line(8, 8), line(8, 8)]), top=line(8, 2)),
    Holding(experts=nn.ModuleList([line(8, 16), line(8, 16)]), top=line(16, 2)),
    Holding(fc2=line(60, 10), fc1=line(10, 60)),
    Holding(conv=nn.Conv2d(2, 8, 3), meta=line(16, 4)),
    Holding(conv=nn.Conv1d(2, 8, 3), meta=line(16, 4)),
]


@pytest.mark.parametrize("number", range(len(PARALLEL)))
def test_layers_that_may_stand_beside_each_other_feed_nothing(number: int, as_file) -> None:
    """At most what numbers say (``w2`` after ``w1``) is said of them."""
    module = PARALLEL[number]
    tensors = {name: value.numpy() for name, value in module.state_dict().items()}
    for network in (module, tensors, as_file(tensors)):
        opened = weigh.open(network)
        said = {
            tensor.name: reason
            for tensor in opened.tensors()
            if (reason := why(opened, tensor.name))
        }
        allowed = {"w2.weight": "w1 gives 20 numbers (inferred)"}
        allowed |= {"fc2.weight": "fc1 gives 60 numbers (inferred)"}
        assert said.items() <= allowed.items()


def test_numbers_say_the_order_whatever_the_order_of_definition() -> None:
    module = Holding(fc3=line(60, 10), fc2=line(120, 60), fc1=line(60, 120))
    assert why(module, "fc3.weight") == "fc2 gives 60 numbers (inferred)"
    assert why(module, "fc2.weight") == "fc1 gives 120 numbers (inferred)"
    assert why(module, "fc1.weight") == ""


def test_equal_layers_follow_each_other_in_a_sequential_and_by_chained_numbers() -> None:
    module = Holding(
        body=nn.Sequential(line(8, 8), nn.ReLU(), nn.BatchNorm1d(8), line(8, 8)),
        fc1=line(8, 8),
        fc2=line(8, 8),
    )
    assert why(module, "body.3.weight") == "body.0 gives 8 numbers (inferred)"
    assert why(module, "body.0.weight") == ""
    assert why(module, "fc2.weight") == "fc1 gives 8 numbers (inferred)"


def test_a_head_after_many_blocks() -> None:
    assert why(ResNet(), "fc.weight") == "layer2.1.conv2 gives 16 channels (inferred)"
    vgg = Holding(
        features=nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3)),
        classifier=nn.Sequential(line(16 * 49, 32), nn.ReLU(), line(32, 10)),
    )
    assert why(vgg, "features.0.weight").startswith("the input's channels: three channels")
    assert why(vgg, "classifier.0.weight").startswith("784 = 16 x 7 x 7: features.2 gives")


def test_a_layer_of_unknown_shape_between_is_not_looked_through() -> None:
    class Mystery(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.ones(8, 8))

    assert why(nn.Sequential(line(4, 8), Mystery(), line(8, 2)), "2.weight") == ""
    assert why(Holding(a=line(4, 8), b=Mystery(), c=line(8, 2)), "c.weight") == ""


@pytest.mark.parametrize(
    ("kind", "picture"),
    [(nn.Conv2d, True), (nn.Conv1d, False), (nn.Conv3d, False), (nn.ConvTranspose2d, False)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_only_a_convolution_over_two_axes_takes_a_picture(
    kind: type[nn.Module], picture: bool, channels: int
) -> None:
    assert bool(why(nn.Sequential(kind(channels, 8, 3)), "0.weight")) == picture
