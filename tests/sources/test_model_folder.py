"""Folders of models: what is read, what their config states, pipelines, the hub's cache."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import weigh
from weigh._errors import SourceError, UnsupportedError

CONFIG = {
    "architectures": ["TinyForCausalLM"],
    "hidden_size": 4,
    "rope_scaling": {"type": "linear", "factor": 2.0},
    "eos_token_id": [1, 2],
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "_name_or_path": "somewhere",
}


def model(folder: Path, config: dict[str, object] | None = None, **arrays: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    save_file(arrays or {"fc.weight": np.ones((4, 4), "f4")}, folder / "model.safetensors")
    return folder


def refused(path: Path | str) -> str:
    with pytest.raises(SourceError) as caught:
        weigh.open(path)
    return str(caught.value)


def test_what_the_config_says_is_stated(tmp_path: Path) -> None:
    net = weigh.open(model(tmp_path / "tiny", CONFIG))
    assert (net.kind, net.kind_status) == ("TinyForCausalLM", "stated")
    assert (net.hidden_size, net.tie_word_embeddings, net.eos_token_id) == (4, True, (1, 2))
    assert {row.status for row in net.hyperparameters.values()} == {"stated"}
    assert "rope_scaling" not in net.hyperparameters
    assert "_name_or_path" not in net.hyperparameters
    assert str(net).startswith("TinyForCausalLM(\n  (fc): Linear(")
    assert net.fc.kind_status == "inferred"


def test_the_file_alone_is_the_file_alone(tmp_path: Path) -> None:
    folder = model(tmp_path / "tiny", CONFIG)
    assert weigh.open(folder / "model.safetensors").kind == "?"


@pytest.mark.parametrize("text", ["", "[]", '{"a": ', "{" * 300, "\xff"])
def test_a_broken_config_is_one_line(tmp_path: Path, text: str) -> None:
    folder = model(tmp_path / "tiny")
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    assert "JSON" in refused(folder)


def test_a_model_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    folder = model(tmp_path / "tiny", CONFIG)
    for name in ("pytorch_model.bin", "optimizer.pt", "rng_state_0.pth", "training_args.bin"):
        (folder / name).write_bytes(b"not looked at")
    net = weigh.open(folder)
    assert net.notes[0] == (
        "Read from model.safetensors; not from pytorch_model.bin, which is there too."
    )


def test_several_models_are_for_the_user_to_choose(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({"w": np.ones(2, "f4")}, tmp_path / f"{name}.safetensors")
    assert refused(tmp_path) == (
        f"{tmp_path}: several files in this folder hold weights, and none is plainly the model; "
        "saw a.safetensors, b.safetensors. Name one of them."
    )


def test_one_file_of_any_name_is_read(tmp_path: Path) -> None:
    save_file({"w": np.ones(2, "f4")}, tmp_path / "anything.safetensors")
    assert weigh.open(tmp_path).counts.parameters == 2


def test_a_folder_of_nothing(tmp_path: Path) -> None:
    assert "no file in this folder says that it is a checkpoint; saw no file" in refused(tmp_path)
    (tmp_path / "readme.md").touch()
    assert "saw readme.md" in refused(tmp_path)
    assert "there is no such" in refused(tmp_path / "none")


def test_a_pipeline_is_its_parts(tmp_path: Path) -> None:
    model(tmp_path / "unet", {"_class_name": "UNet2DConditionModel", "sample_size": 64})
    model(tmp_path / "text_encoder", CONFIG)
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer/vocab.json").touch()
    model(tmp_path / "stranger")
    index = {
        "_class_name": "StablePipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "text_encoder": ["transformers", "TinyForCausalLM"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "safety_checker": [None, None],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    net = weigh.open(tmp_path)
    assert net.kind == "StablePipeline"
    assert [name for name, _ in net.named_children()] == ["text_encoder", "unet"]
    assert (net.unet.kind, net.unet.sample_size) == ("UNet2DConditionModel", 64)
    assert [t.name for t in net.tensors()] == ["text_encoder.fc.weight", "unet.fc.weight"]
    assert [t.tied_to for t in net.tensors()] == [None, None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache, laid as its own library lays it: snapshots are links to blobs."""
    hub = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    repository = hub / "models--tiny-org--tiny"
    for commit in ("a" * 40, "b" * 40):
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        blobs = repository / "blobs"
        blobs.mkdir(exist_ok=True)
        save_file({"fc.weight": np.full((2, 2), ord(commit[0]), "f4")}, blobs / f"w{commit[0]}")
        (snapshot / "model.safetensors").symlink_to(f"../../blobs/w{commit[0]}")
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("b" * 40)
    return hub


def test_a_cached_model_is_opened_by_its_name(cache: Path) -> None:
    assert weigh.open("hf:tiny-org/tiny").fc.weight.read()[0, 0] == ord("b")
    assert weigh.open("hf:tiny-org/tiny@aaaa").fc.weight.read()[0, 0] == ord("a")
    link = cache / "models--tiny-org--tiny/snapshots" / ("a" * 40)
    assert weigh.open(link).counts.parameters == 4


def test_a_cached_pipeline_has_its_parts_in_folders(cache: Path) -> None:
    """As the hub's library lays it: the files of a part are links of one level more."""
    repository = cache / "models--tiny-org--tiny"
    snapshot = repository / "snapshots" / ("b" * 40)
    (snapshot / "model.safetensors").unlink()
    index = {"_class_name": "StablePipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    (repository / "blobs/index").write_text(json.dumps(index))
    (snapshot / "model_index.json").symlink_to("../../blobs/index")
    (snapshot / "unet").mkdir()
    part = snapshot / "unet/diffusion_pytorch_model.safetensors"
    part.symlink_to("../../../blobs/wb")
    for place in ("hf:tiny-org/tiny", part.parent):
        assert weigh.open(place).counts.parameters == 4
    part.unlink()
    save_file({"w": np.ones(1, "f4")}, cache / "elsewhere.safetensors")
    part.symlink_to(cache / "elsewhere.safetensors")
    assert "a link leads out of its folder" in refused("hf:tiny-org/tiny")
    # A folder above that is only called so lends nothing.
    plain = cache.parent / "snapshots/mine/model"
    plain.mkdir(parents=True)
    (plain / "model.safetensors").symlink_to(cache / "models--tiny-org--tiny/blobs/wb")
    assert "a link leads out of its folder" in refused(plain)


def test_a_link_out_of_the_repository_is_not_followed(cache: Path) -> None:
    snapshot = cache / "models--tiny-org--tiny/snapshots" / ("b" * 40)
    (snapshot / "model.safetensors").unlink()
    save_file({"w": np.ones(1, "f4")}, cache / "elsewhere.safetensors")
    (snapshot / "model.safetensors").symlink_to(cache / "elsewhere.safetensors")
    assert "a link leads out of its folder" in refused("hf:tiny-org/tiny")


def test_a_config_may_hold_what_python_writes_for_no_number(tmp_path: Path) -> None:
    save_file({"fc.weight": np.zeros((2, 2), "f4")}, tmp_path / "model.safetensors")
    limits = {"time_step_limit": [0.0, float("inf")], "floor": float("-inf"), "odd": float("nan")}
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["Mamba"], **limits}))
    net = weigh.open(tmp_path)
    assert (net.kind, net.time_step_limit, net.floor) == ("Mamba", (0.0, np.inf), -np.inf)
    (tmp_path / "config.json").write_text('{"floor": -Infinite}')
    assert "a value was expected in the JSON" in refused(tmp_path)


def test_the_files_of_an_index_are_read_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        save_file({f"{name}.weight": np.ones((2, 2), "f4")}, tmp_path / f"{name}.safetensors")
    index = {"first.weight": "first.safetensors", "second.weight": "second.safetensors"}
    written = json.dumps({"weight_map": index})
    (tmp_path / "model.safetensors.index.json").write_text(written)
    said = "Read from model.safetensors.index.json; not from third.safetensors, which is there too."
    assert weigh.open(tmp_path).notes[0] == said


def test_a_spoiled_config_is_named(tmp_path: Path) -> None:
    folder = model(tmp_path, {})
    (folder / "config.json").write_text("[]")
    assert refused(folder).startswith(f"{folder / 'config.json'}: '{{' was expected")


def test_what_the_cache_lacks_is_one_line(cache: Path) -> None:
    assert refused("hf:tiny-org/tony") == (
        f"hf:tiny-org/tony: the cache holds no model 'tiny-org/tony'; saw {cache}. "
        "Did you mean 'tiny-org/tiny'? Weigh downloads nothing: fetch it first."
    )
    said = refused("hf:tiny-org/tiny@cccc")
    assert f"no revision 'cccc' of 'tiny-org/tiny'; saw {'a' * 40}, {'b' * 40}" in said
    for odd in ("hf:", "hf:../x", "hf:a/b/c", "hf:tiny-org/tiny@../../x", "hf:a/.."):
        assert "a model of the hub is named" in refused(odd), odd


def test_what_the_cache_holds_is_named(cache: Path) -> None:
    said = refused("hf:something/else-entirely")
    assert said.endswith("It holds tiny-org/tiny. Weigh downloads nothing: fetch it first.")
    for i in range(7):
        (cache / f"models--a--m{i}").mkdir()
    assert "It holds a/m0, a/m1, a/m2, a/m3, a/m4 and 3 more." in refused("hf:z/zzzzzz")


def test_a_reference_that_leads_nowhere(cache: Path) -> None:
    (cache / "models--tiny-org--tiny/refs/main").write_text("../../../../etc")
    assert "no revision 'main'" in refused("hf:tiny-org/tiny")


def test_too_many_parts_are_refused(tmp_path: Path) -> None:
    index = {f"p{i}": ["x", "Y"] for i in range(40)}
    for name in index:
        model(tmp_path / name)
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UnsupportedError, match="far too many parts; saw 40"):
        weigh.open(tmp_path)
