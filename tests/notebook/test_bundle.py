"""What a notebook is told of networks, tensors and reports, without a notebook."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import weigh
from article import write_safetensors
from weigh._notebook.thinned import thinned
from weigh._pictures.colours import MIDDLE
from weigh._views.check import check_document
from weigh._views.diff import diff_document
from weigh._views.diff_path import path_document
from weigh._views.stats import stats_document
from weigh._views.text import render

LARGEST = 1_000_000


def bundle(thing: Any, **asked: Any) -> dict[str, str]:
    made: dict[str, str] = thing._repr_mimebundle_(**asked)
    return made


class Words(HTMLParser):
    """What a reader reads of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.depth = self.deepest = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag in ("ul", "details", "div")
        self.deepest = max(self.deepest, self.depth)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag in ("ul", "details", "div")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def words(thing: Any) -> str:
    """The words of its HTML, but for the style sheet."""
    html = re.sub(r"<style>.*?</style>", "", bundle(thing)["text/html"], flags=re.S)
    return " ".join(" ".join(Words(html).words).split())


def small(thing: Any) -> str:
    made = bundle(thing)
    assert sum(map(len, made.values())) < LARGEST
    assert "cannot be shown" not in made["text/html"]
    return words(thing)


def bert(layers: int = 6, size: int = 384) -> dict[str, Any]:
    """The names and shapes of a small sentence encoder."""
    made = {"embeddings.word_embeddings.weight": np.zeros((3052, size), "f2")}
    for at in range(layers):
        for name in ("attention.self.query", "attention.self.key", "attention.output.dense"):
            made[f"encoder.layer.{at}.{name}.weight"] = np.zeros((size, size), "f2")
            made[f"encoder.layer.{at}.{name}.bias"] = np.zeros(size, "f2")
        made[f"encoder.layer.{at}.output.LayerNorm.weight"] = np.ones(size, "f2")
        made[f"encoder.layer.{at}.output.LayerNorm.bias"] = np.zeros(size, "f2")
    return made


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10))


@pytest.fixture
def things(module: nn.Module) -> dict[str, Any]:
    net = weigh.open(module)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    after = {name: value + 0.01 for name, value in before.items()}
    return {
        "network": net,
        "layer": net["0"],
        "parameter": net["0"].weight,
        "slice": net["0"].weight[0],
        "statistics": net.stats(),
        "check": net.check(),
        "diff": weigh.diff(before, after),
        "path": weigh.diff(before, after, before),
        "picture": net["0"].weight.picture(),
        "histogram": net["0"].weight.histogram(),
    }


def as_text(thing: Any) -> str:
    """A report is printed as by its command, all else as in a terminal."""
    documents: dict[str, Callable[..., Any]] = {
        "StatisticsReport": partial(stats_document, width=100),
        "CheckReport": check_document,
        "DiffReport": diff_document,
        "PathReport": path_document,
    }
    document = documents.get(type(thing).__name__)
    return repr(thing) if document is None else render(document(thing), width=100)


def test_the_text_is_what_a_terminal_shows(things: dict[str, Any]) -> None:
    for name, thing in things.items():
        made = bundle(thing)
        assert set(made) == {"text/plain", "text/html"}, name
        assert made["text/plain"] == as_text(thing), name


def test_only_what_is_asked_for_is_made(things: dict[str, Any]) -> None:
    net = things["network"]
    assert set(bundle(net, include={"text/plain"})) == {"text/plain"}
    assert set(bundle(net, include=["text/html", "image/png"])) == {"text/html"}
    assert set(bundle(net, exclude={"text/html"})) == {"text/plain"}


def test_a_network_shows_its_layers_and_reads_no_values(tmp_path: Path) -> None:
    tensors = {f"blocks.{at}.fc.weight": np.zeros((4, 4), "f4") for at in range(12)}
    path = write_safetensors(
        tmp_path / "m.safetensors", tensors | {"head.weight": np.ones((2, 4), "f4")}
    )
    net = weigh.open(path)
    path.write_bytes(path.read_bytes()[:-40])  # the values at its end are gone
    said = words(net)
    assert "0-11 12 ×" in said
    assert "Linear (in_features=4, out_features=2, bias=False) inferred 8" in said
    assert "200 parameters" in said
    assert "out_features=4 in_features=4 float32 learnable 16" in said


def test_hyperparameters_say_how_they_are_known(module: nn.Module) -> None:
    live = bundle(weigh.open(module))["text/html"]
    assert "<code>kernel_size=(5, 5)</code>" in live
    assert (
        'class="weigh-default" title="grey: the constructor&#x27;s default">stride=(1, 1)<' in live
    )
    held = bundle(weigh.open(module.state_dict()))["text/html"]
    assert ">kernel_size=(5, 5)</code>" in held.partition('<code class="weigh-inferred"')[2]
    assert re.search(r'<code class="weigh-unknown" [^>]*>stride=\?</code>', held)
    assert 'class="weigh-unknown"' not in live


def test_a_tensor_shows_axes_picture_distribution_and_numbers(module: nn.Module) -> None:
    weight = weigh.open(module)["0"].weight
    html, said = bundle(weight)["text/html"], words(weight)
    assert html.count("<svg") == 4  # the picture and the distribution, in two themes
    assert "kernel_height 5 kernel_size[0] height of a filter" in said
    assert f"{weigh.stats({'w': weight})['w'].mean:.4g}" in said
    assert f"all {weight.count:,} values were read" in " ".join(said.split())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: weigh.open(nn.Linear(3, 2, device="meta")).weight, "meta"),
        (lambda: weigh.open(nn.LazyLinear(3)).weight, "no shape yet"),
        (lambda: weigh.open({"a": np.zeros((0, 3))})["a"], "It has no values."),
        (lambda: weigh.open({"a": np.full(3, np.nan)})["a"], "no value is finite"),
        (lambda: weigh.open({"a": np.array(1.5)})["a"], "scalar"),
        (lambda: weigh.open({"a": np.array([1 + 2j])})["a"], "complex128"),
        (lambda: weigh.open({"a": np.array([True, False])})["a"], "bool"),
    ],
)
def test_what_cannot_be_had_is_said(make: Any, reason: str) -> None:
    tensor = make()
    assert reason in small(tensor)


def test_a_file_that_went_away_is_said(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.safetensors", {"fc.weight": np.ones((20, 30), "f4")})
    weight = weigh.open(path).fc.weight
    path.write_bytes(path.read_bytes()[:200])
    made = bundle(weight)
    assert made["text/plain"].startswith("the file ends early")
    assert "cannot be had" in made["text/html"]
    assert "in_features" in made["text/html"]


class Rude(nn.Module):
    def __repr__(self) -> str:
        raise RuntimeError("not <today>")


def test_a_module_that_cannot_be_printed_is_shown() -> None:
    made = bundle(weigh.open(nn.Sequential(Rude(), nn.Linear(2, 2))))
    assert "RuntimeError: not <today>" in made["text/plain"]
    assert "Rude" in made["text/html"]
    assert "Linear" in made["text/html"]


def test_a_sentence_encoder_is_small() -> None:
    net = weigh.open(bert())
    assert "0-5 6 ×" in small(net)
    small(net["embeddings.word_embeddings.weight"])
    small(net.stats())
    small(net.check())


def test_ten_thousand_layers_are_cut_and_counted() -> None:
    """None is like its neighbour, so that none can be folded."""
    net = weigh.open(
        {f"part_{at}.fc.weight": np.zeros((1, 1 + at % 7), "f4") for at in range(10_000)}
    )
    said = small(net)
    left = re.search(r"([\d,]+) of 30,000 layers and tensors are left out here", said)
    assert left is not None
    html = bundle(net)["text/html"]
    shown = html.count('"weigh-tensor ') + html.count("<summary>") - 1  # one is of the totals
    assert shown > 1000
    assert shown + int(left[1].replace(",", "")) == 30_000
    assert "weigh.show(network)" in said
    stats = small(net.stats())
    assert "of 10,001 rows are shown here." in stats
    assert "records()" in stats
    assert f"(all parameters) {net.counts.parameters:,}" in stats


def test_long_reports_are_cut_and_counted() -> None:
    names = [f"part_{at}.fc.weight" for at in range(2500)]
    ones = {name: np.ones((1, 1 + at % 7), "f4") for at, name in enumerate(names)}
    twos = {name: 2 * value for name, value in ones.items()}
    said = small(weigh.diff(ones, twos, rank=False))
    assert "of 2,500 rows are shown here." in said
    assert "of 2,500 rows are shown here." in small(weigh.diff(ones, twos, ones))


def test_ten_thousand_equal_layers_are_one_row() -> None:
    net = weigh.open({f"layers.{at}.weight": np.zeros((2, 2), "f4") for at in range(10_000)})
    said = small(net)
    assert "0-9999 10,000 ×" in said
    assert "left out" not in said


def test_hostile_names_do_no_harm() -> None:
    names = [
        "</style><script>x()</script>",
        "a" * 3_000_000,
        "\x1b[2J\u202e",
        ".".join("b" * 900),
        "",
    ]
    net = weigh.open({name: np.ones(3, "f4") for name in names})
    assert "<script" not in bundle(net)["text/html"]
    assert "(3,000,000 letters)" in small(net)
    for tensor in net.tensors():
        html = bundle(tensor)["text/html"]
        assert "<script" not in html
        assert "\x1b" not in html
        assert "\u202e" not in html
        small(tensor)
    for report in (net.stats(), net.check(), weigh.diff(net, {"a": np.ones(3, "f4")})):
        assert "<script" not in bundle(report)["text/html"]
        small(report)


def test_deep_trees_end_somewhere() -> None:
    module: nn.Module = nn.Linear(2, 2)
    for _ in range(120):
        module = nn.Sequential(module)
    net = weigh.open(module)
    assert "layers and tensors not shown" in small(net)
    assert Words(bundle(net)["text/html"]).deepest < 120


def test_a_layer_in_two_places_is_told() -> None:
    shared = nn.Linear(2, 2)
    said = words(weigh.open(nn.ModuleDict({"a": shared, "b": shared})))
    assert "the same layer as a" in said


def test_showing_a_live_module_changes_nothing(module: nn.Module) -> None:
    module.train()
    states = {
        name: (t.clone(), t._version, t.data_ptr()) for name, t in module.state_dict().items()
    }
    random = torch.get_rng_state()
    net = weigh.open(module)
    for thing in (net, net["0"], *net.tensors()):
        bundle(thing)
    for name, tensor in module.state_dict().items():
        value, version, pointer = states[name]
        assert torch.equal(tensor, value)
        assert (tensor._version, tensor.data_ptr()) == (version, pointer)
    assert torch.equal(torch.get_rng_state(), random)
    assert module.training


def test_large_tensors_are_sampled_and_say_so(tmp_path: Path) -> None:
    shape = (1 << 13, (1 << 13) + 8)
    large = np.memmap(tmp_path / "zeros", "i1", "w+", shape=shape)
    said = small(weigh.open({"w": large})["w"])
    assert "sampled:" in said
    assert "statistics are left out" in said


def test_a_picture_of_too_many_cells_is_thinned_and_says_so() -> None:
    values = np.random.default_rng(0).normal(size=(1200, 1500)).astype("f4")
    picture = weigh.open({"w": values})["w"].picture(scale=1.0)
    assert len(picture.svg()) > LARGEST
    assert "Fewer cells are shown: of 3 x 3, the one furthest from 0." in small(picture)
    assert "Fewer cells" not in words(weigh.open({"w": values[:9, :9]})["w"].picture())


@pytest.mark.parametrize(("shape", "side"), [((7, 11), 2), ((8, 12), 4), ((1, 100), 7)])
def test_thinning_keeps_the_worst_of_each_square(shape: tuple[int, int], side: int) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    values.flat[3], values.flat[5] = np.nan, np.inf
    picture = weigh.open({"w": values})["w"].picture(layout="a b -> a b", scale=1.0)
    codes = picture.sheet.codes
    made = thinned(picture, side).sheet.codes
    assert made.shape == tuple(-(-n // side) for n in codes.shape)
    order = {0: -1, 3: 997, 2: 998, 1: 999, 4: 996, 5: 996}
    for at, code in np.ndenumerate(made):
        row, column = at[0] * side, at[1] * side
        square = codes[row : row + side, column : column + side].ravel().tolist()
        ranks = [order.get(one, abs(one - MIDDLE)) for one in square]
        assert order.get(int(code), abs(int(code) - MIDDLE)) == max(ranks)


def test_ipython_asks_a_network_nothing_slow() -> None:
    net = weigh.open({f"a_{at}.weight": np.zeros(1) for at in range(3)})
    for name in ("_repr_html_", "_ipython_display_", "_ipython_canary_method_should_not_exist_"):
        with pytest.raises(AttributeError, match=f"^{name}$"):
            getattr(net, name)


TERMINAL = """
import sys, numpy, weigh
from IPython.terminal.interactiveshell import TerminalInteractiveShell
shell = TerminalInteractiveShell.instance(history_length=0)
shell.history_manager.enabled = False
shell.user_ns["net"] = weigh.open({"fc.weight": numpy.ones((2, 3), "f4")})
shell.run_cell("net.fc.weight")
print("drawn" if "weigh._notebook.tensor" in sys.modules else "not drawn")
"""


def test_ipython_in_a_terminal_prints_the_text_and_draws_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TERMINAL],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path), "TERM": "dumb"},
    )
    assert "tensor([[1., 1., 1.],\n        [1., 1., 1.]])" in done.stdout
    assert done.stdout.splitlines()[-1] == "not drawn"


def test_nothing_is_loaded_before_a_notebook_asks() -> None:
    code = "import numpy, sys, weigh; net = weigh.open({'a.weight': numpy.ones((2, 2))}); repr(net)"
    code += "; print([name for name in sys.modules if name.startswith('weigh._notebook')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
