"""Keras's files, written by Keras itself in a process of its own, held against its own values."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import weigh

needs_keras = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs keras")

SCRIPT = """
import sys, json, numpy as np, warnings
warnings.simplefilter("ignore")
import keras
from keras import layers as L
folder = sys.argv[1]
keras.utils.set_random_seed(0)
picture = keras.Input((16, 16, 3), name="pic")
x = L.Conv2D(4, (3, 2), padding="same", activation="relu", name="first conv")(picture)
x = L.DepthwiseConv2D(3, name="deep")(x)
x = L.Conv2DTranspose(5, 3, name="up")(x)
x = L.SeparableConv2D(6, 3, trainable=False, name="apart")(x)
x = L.BatchNormalization(scale=False, name="norm")(x)
inner = keras.Sequential([keras.Input((14, 14, 6)), L.Conv2D(2, 3, name="c")], name="sub")
x = L.Flatten(name="flat")(inner(x))
x = L.Reshape((8, -1), name="rows")(x)
x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
x = L.GRU(4, name="gru")(x)
model = keras.Model(picture, L.Dense(7, name="head")(x))
model.compile("adam", "mse")
model.train_on_batch(np.ones((2, 16, 16, 3)), np.ones((2, 7)))
model.save(f"{folder}/model.keras")
model.save_weights(f"{folder}/model.weights.h5")
model.save(f"{folder}/model.h5")
np.savez(f"{folder}/values.npz", **{w.path: keras.ops.convert_to_numpy(w) for w in model.weights})
"""

NAMES = {
    "both.forward_layer.cell.": "both/forward_lstm/lstm_cell/",
    "both.backward_layer.cell.": "both/backward_lstm/lstm_cell/",
    "gru.cell.": "gru/gru_cell/",
}
"""How names in today's files differ from the paths that Keras gives its variables."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        check=True,
        capture_output=True,
        env={**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(folder)},
    )
    return folder


def by_keras(folder: Path) -> dict[str, np.ndarray]:
    return dict(np.load(folder / "values.npz"))


def keras_path(name: str) -> str:
    for ours, theirs in NAMES.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name.replace(".", "/")


@needs_keras
@pytest.mark.parametrize("file", ["model.keras", "model.weights.h5", "model.h5"])
def test_names_shapes_and_values_are_those_of_keras(written: Path, file: str) -> None:
    expected = by_keras(written)
    net = weigh.open(written / file)
    found = {keras_path(t.name): t for t in net.tensors() if t.role != "optimizer"}
    unsaid = [found.pop(f"norm/{i}") for i in range(3)] if file == "model.weights.h5" else []
    # Without a config nobody says whether gamma or beta is missing: they stay numbers.
    found |= zip(("norm/beta", "norm/moving_mean", "norm/moving_variance"), unsaid, strict=False)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name].read(), array, err_msg=name, strict=True)
    state = {"norm.moving_mean", "norm.moving_variance"}
    assert {t.name for t in net.tensors() if t.role == "buffer"} == (set() if unsaid else state)
    assert any(t.role == "optimizer" for t in net.tensors())


@needs_keras
@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
def test_layers_are_stated_with_their_arguments(written: Path, file: str) -> None:
    net = weigh.open(written / file)
    conv = net["first conv"]
    assert (conv.kind, conv.kind_status) == ("Conv2D", "stated")
    assert repr(conv) == "Conv2D(4, kernel_size=(3, 2), padding=same, activation=relu)"
    assert conv.hyperparameters["padding"].status == "stated"
    assert [name for name, _ in net.named_children()][:3] == ["pic", "first conv", "deep"]
    assert net["sub"].kind == "Sequential"
    assert net["sub.c"].kind == "Conv2D"
    assert net["apart.pointwise_kernel"].learnable is False
    assert net["first conv.kernel"].learnable is True
    assert [str(axis) for axis in net["first conv.kernel"].axes] == [
        "kernel_height=3",
        "kernel_width=2",
        "in_channels=3",
        "filters=4",
    ]
    assert [axis.name for axis in net["up.kernel"].axes][2:] == ["filters", "in_channels"]
    assert [str(axis) for axis in net["head.kernel"].axes] == ["in_features=4", "units=7"]


@needs_keras
def test_kinds_are_inferred_where_no_config_says_them(written: Path) -> None:
    net = weigh.open(written / "model.weights.h5")
    assert (net["first conv"].kind, net["first conv"].kind_status) == ("Conv2D", "inferred")
    assert net["gru.cell"].kind == "GRUCell"
    assert net["up"].kind == "Conv2DTranspose"
    assert net["deep"].kind == "?"  # (3, 3, 4, 1) may also be transposed, with one input channel


def archive(path: Path, config: str, key: str = "dense") -> Path:
    import io

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        own = file.create_group(f"layers/{key}/vars")
        own["0"], own["1"] = np.ones((2, 3), "f4"), np.zeros(3, "f4")
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("config.json", config)
        made.writestr("model.weights.h5", weights.getvalue())
    return path


def model_of(layer: dict[str, object]) -> str:
    return json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})


def test_a_class_of_the_users_keeps_its_numbers(tmp_path: Path) -> None:
    layer = {"module": None, "class_name": "Mine", "registered_name": "my>Mine"}
    path = archive(tmp_path / "a.keras", model_of({**layer, "config": {"name": "d"}}), "mine")
    net = weigh.open(path)
    assert [t.name for t in net.tensors()] == ["d.0", "d.1"]
    assert (net["d"].kind, net["d"].kind_status) == ("Mine", "stated")
    assert [axis.name for axis in net["d.0"].axes] == ["?", "?"]


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[]",
        "{",
        '{"config": ' * 5000,
        '{"config": {"a": [' * 2000,
        '"x"',
        '{"class_name": "\\ud800"}',
    ],
)
def test_a_broken_config_is_one_error(tmp_path: Path, config: str) -> None:
    with pytest.raises(weigh.SourceError):
        weigh.open(archive(tmp_path / "a.keras", config))


def test_a_config_of_too_many_objects_is_refused(tmp_path: Path) -> None:
    layers = ",".join(['{"class_name": "A"}'] * 60_000)
    config = '{"class_name": "S", "config": {"layers": [' + layers + "]}}"
    with pytest.raises(weigh.SourceError, match="objects"):
        weigh.open(archive(tmp_path / "a.keras", config))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED])
def test_a_compressed_archive_is_refused(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "a.keras", model_of({"class_name": "Dense"}))
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.keras", "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(weigh.SourceError, match="compressed"):
        weigh.open(tmp_path / "b.keras")


def test_what_is_not_read_yet_is_said(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    with pytest.raises(weigh.UnsupportedError, match="tflite"):
        weigh.open(tmp_path / "m.tflite")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(weigh.UnsupportedError, match="SavedModel"):
        weigh.open(tmp_path / "saved")
