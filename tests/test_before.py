"""Which layer fed another: said where names and order make it plain, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

import weigh
from article import SHAPES, arrays, write_safetensors


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
    ],
)
def test_the_article(as_file, name: str, reason: str) -> None:
    assert set(arrays()) == set(SHAPES)
    assert why(arrays(), name) == reason
    assert why(as_file(arrays()), name) == reason


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
