"""Each step's real output, held against what the article prints."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from weigh import _errors
from weigh._tour import Closing, Opening, Part, Step, TourResult, run_tour

NETWORK = """\
Network(
  (conv1): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
  (conv2): Conv2d(6, 12, kernel_size=(5, 5), stride=(1, 1))
  (fc1): Linear(in_features=192, out_features=120, bias=True)
  (fc2): Linear(in_features=120, out_features=60, bias=True)
  (out): Linear(in_features=60, out_features=10, bias=True)
)"""
SHAPES = {
    "conv1.weight": "[6, 1, 5, 5]",
    "conv1.bias": "[6]",
    "conv2.weight": "[12, 6, 5, 5]",
    "conv2.bias": "[12]",
    "fc1.weight": "[120, 192]",
    "fc1.bias": "[120]",
    "fc2.weight": "[60, 120]",
    "fc2.bias": "[60]",
    "out.weight": "[10, 60]",
    "out.bias": "[10]",
}
GOLDEN = {
    "class": "",
    "learnable": "",
    "instance": "",
    "print": NETWORK,
    "override": "lizardnet",
    "module_repr": NETWORK,
    "conv_repr": "(5, 5)\n(1, 1)\nConv2d(1, 6, kernel_size=(5, 5), stride=(2, 2))",
    "linear_repr": "Linear(in_features=192, out_features=120, bias=True)\n"
    "Linear(in_features=192, out_features=120, bias=False)\n"
    "Linear(in_features=192, out_features=120, bias=True)",
    "dots": "\n".join(line.partition(": ")[2] for line in NETWORK.splitlines()[1:-1]),
    "tracked": "['noticed', 'in_its_list.0']",
    "conv_shapes": "Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))\n"
    "torch.Size([6, 1, 5, 5])\ntorch.Size([12, 6, 5, 5])",
    "axes": "4\n{'Number of filters': 12, 'Depth': 6, 'Height': 5, 'Width': 5}\n"
    "torch.Size([6, 5, 5])",
    "matrices": "torch.Size([120, 192])\ntorch.Size([60, 120])\ntorch.Size([10, 60])\n"
    "'Linear' object has no attribute 'shape'",
    "product": "[30.0, 40.0, 50.0]",
    "map": "torch.Size([3, 4])",
    "matmul": "tensor([30., 40., 50.])\ntensor([ 60.,  80., 100.])",
    "parameters": "\n".join(f"torch.Size({shape})" for shape in SHAPES.values()),
    "named": "\n".join(f"{name} \t\t torch.Size({shape})" for name, shape in SHAPES.items())
    + "\n32998",
    "learning": "",
    "forward": "torch.Size([1, 10])",
}

# Where the article first shows what each step is about: the order that must be kept.
ORDER = [
    ("class", "class Network(nn.Module)"),
    ("learnable", None),
    ("instance", "network = Network()"),
    ("print", "print(network)"),
    ("bare", "class Network:"),
    ("override", "lizardnet"),
    ("module_repr", "del Network.__repr__"),
    ("conv_repr", "kernel_size"),
    ("linear_repr", "bias=False"),
    ("dots", "network.conv1"),
    ("weight", "network.conv1.weight"),
    ("parameter", "Parameter.__repr__"),
    ("tracked", "nn.ParameterList"),
    ("conv_shapes", "network.conv1.weight.shape"),
    ("axes", "network.conv2.weight[0].shape"),
    ("matrices", "network.fc1.weight.shape"),
    ("product", "weight_matrix"),
    ("map", "weight_matrix.shape"),
    ("matmul", "weight_matrix.matmul(in_features)"),
    ("parameters", "for param in network.parameters():\n    print(param.shape)"),
    ("named", "print(name, '\\t\\t', param.shape)"),
    ("learning", "initial.safetensors"),
    ("forward", "F.max_pool2d"),
    ("digits", "load_digits()"),
    ("untrained", "share_right"),
    ("train", "loss.backward()"),
    ("trained", "trained.safetensors"),
    ("moved", "cosine"),
    ("filters", "filters.png"),
]


@pytest.mark.parametrize("key", GOLDEN)
def test_a_step_prints_to_the_letter(steps: dict[str, Step], key: str) -> None:
    assert steps[key].output == GOLDEN[key]


def test_the_steps_follow_the_article(steps: dict[str, Step]) -> None:
    assert list(steps) == [key for key, _ in ORDER]
    assert [step.number for step in steps.values()] == list(range(1, len(ORDER) + 1))
    for key, shown in ORDER:
        assert shown is None or shown in steps[key].code


def test_without_the_base_class_python_prints_an_address(steps: dict[str, Step]) -> None:
    pattern = r"<__main__\.Network object at 0x[0-9a-fA-F]+>"
    assert re.fullmatch(pattern, steps["bare"].output)


def test_the_weight_is_the_one_that_the_seed_gives(steps: dict[str, Step]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weight = torch.nn.Conv2d(1, 6, 5).weight
    assert steps["weight"].output == repr(weight)
    assert steps["weight"].output.startswith("Parameter containing:\ntensor([[[[")


def test_the_source_of_parameter_is_shown(steps: dict[str, Step]) -> None:
    shown = steps["parameter"].output
    assert shown.startswith("True\n")
    assert "def __repr__(self)" in shown
    assert '"Parameter containing:\\n"' in shown


def test_the_slip_in_the_article_is_named(steps: dict[str, Step]) -> None:
    assert "`network.fc1.shape`" in "".join(steps["matrices"].text)


def test_all_the_code_runs_as_one_program(steps: dict[str, Step]) -> None:
    """Pasted together, the article's steps are a program that prints as the tour does."""
    shown, printed = io.StringIO(), []
    namespace = {"__name__": "__main__", "save": lambda network, name: None}
    with torch.random.fork_rng(), contextlib.redirect_stdout(shown):
        for key, _ in ORDER[:22]:
            exec(steps[key].code, namespace)
            printed.append(key)
    assert len(printed) == 22
    for key in ("print", "override", "module_repr", "parameters"):
        assert steps[key].output in shown.getvalue()


def test_parts_come_one_by_one_and_in_order(article: Callable[..., list[Part]]) -> None:
    parts = article()
    assert isinstance(parts[0], Opening)
    assert isinstance(parts[-1], Closing)
    assert [part.number for part in parts[1:-1] if isinstance(part, Step)] == list(range(1, 23))


def test_without_training_the_first_weights_are_left(tmp_path: Path) -> None:
    result = run_tour(out=tmp_path / "a" / "b", train=False)
    assert [path.name for path in result.files] == ["initial.safetensors"]
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["initial.safetensors"]
    assert (result.accuracy, result.seconds, result.moved) == (None, None, ())
    closing = result.parts[-1]
    assert isinstance(closing, Closing)
    assert all("initial.safetensors" in command for command in closing.commands)


def test_one_step_alone(article: Callable[..., list[Part]], tmp_path: Path) -> None:
    (part,) = article(step=4, out=tmp_path / "none")
    assert isinstance(part, Step)
    assert (part.number, part.output) == (4, NETWORK)
    assert not (tmp_path / "none").exists(), "a step that writes nothing makes no folder"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"step": 0}, "--step goes from 1 to 29; saw 0"),
        ({"step": 30}, "--step goes from 1 to 29; saw 30"),
        (
            {"step": 23, "train": False},
            "--step goes from 1 to 22; saw 23. The steps after them are the training.",
        ),
        ({"epochs": 0}, "--epochs goes from 1 to 1000; saw 0"),
        ({"seed": -1}, f"--seed goes from 0 to {2**63 - 1}; saw -1"),
        ({"lang": "fr"}, "the tour speaks English and Chinese; saw 'fr'. Give --lang en or"),
    ],
)
def test_a_call_without_sense_is_refused(
    tmp_path: Path, given: dict[str, object], message: str
) -> None:
    with pytest.raises(_errors.UsageError) as caught:
        run_tour(out=tmp_path, **given)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_the_callers_pytorch_is_left_as_it_was(tmp_path: Path) -> None:
    state, threads, dtype = (
        torch.get_rng_state(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
    )
    try:
        torch.set_default_dtype(torch.float64)
        with torch.no_grad():
            parts = run_tour(out=tmp_path, train=False).parts
            assert not torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(dtype)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    weight = next(part for part in parts if isinstance(part, Step) and part.key == "weight")
    assert "float64" not in weight.output
    assert "requires_grad=True" in weight.output


def test_the_document_is_json(tour: TourResult) -> None:
    import json

    from weigh._tour import to_json

    document = json.loads(json.dumps(to_json(tour), allow_nan=False))
    assert list(document) == [
        "lang",
        "seed",
        "opening",
        "steps",
        "closing",
        "accuracy",
        "seconds",
        "files",
        "moved",
    ]
    assert document["steps"][3]["output"] == NETWORK
    assert document["steps"][3]["cells"] == [
        {"code": "print(network)", "output": NETWORK, "look": "text"}
    ]
    assert document["moved"][0]["name"] == "conv1.weight"
