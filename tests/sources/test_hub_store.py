"""The Hugging Face Hub, as far as a server on this machine can play it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from safetensors.numpy import save

import weigh
from servers import Answer, Web, web_server
from weigh._errors import SourceError, UnsupportedError
from weigh._sources.places import open_place
from weigh._sources.remote import RemoteFolder

WEIGHT = np.random.default_rng(0).standard_normal((600, 500)).astype("f4")
SMALL = save({"fc.weight": WEIGHT, "fc.bias": np.arange(600, dtype="f4")})
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def entry(path: str, size: int) -> dict[str, object]:
    return {"type": "file", "path": path, "size": size, "oid": COMMIT}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    library = pytest.importorskip("huggingface_hub")
    constants = pytest.importorskip("huggingface_hub.constants")
    with web_server() as web:
        monkeypatch.setattr(constants, "ENDPOINT", web.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        library.HfFileSystem.clear_instance_cache()
        about = {"id": "org/name", "sha": COMMIT, "siblings": [], "tags": [], "private": False}
        for name in ("", "/revision/main", "/revision/v1"):
            web.always[f"/api/models/org/name{name}"] = as_json(about)
        files = [entry("config.json", 2), entry("model.safetensors", len(SMALL))]
        web.always["/api/models/org/name/tree/main"] = as_json(files)
        for revision in ("main", "v1"):
            at = f"/org/name/resolve/{revision}/"
            web.files[f"{at}model.safetensors"] = SMALL
            web.files[f"{at}config.json"] = b"{}"
        yield web
        library.HfFileSystem.clear_instance_cache()


def as_json(value: object) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())


def test_a_file(hub: Web) -> None:
    net = weigh.open("hf://org/name/model.safetensors")
    assert np.array_equal(np.asarray(net["fc.weight"][300:310]), WEIGHT[300:310])
    # Whether there is such a repository, the head, the slice; the library may ask for more.
    asked = [one for one in hub.asked if "org/name" in one.path]
    file = "/org/name/resolve/main/model.safetensors"
    assert [one.path for one in asked] == ["/api/models/org/name", file, file]
    assert [one.sent for one in asked[1:]] == [65536, 20_000]
    assert {one.headers["authorization"] for one in asked} == {"Bearer hf_secret"}


def test_a_revision(hub: Web) -> None:
    weigh.open("hf://org/name@v1/model.safetensors")
    assert hub.asked[-1].path == "/org/name/resolve/v1/model.safetensors"


@pytest.mark.parametrize("url", ["hf://org/name", "hf://org/name/"])
def test_a_repository_is_a_folder(hub: Web, url: str) -> None:
    folder = open_place(url)
    assert isinstance(folder, RemoteFolder)
    assert folder.files() == ["config.json", "model.safetensors"]
    assert folder.name == "hf://org/name/"
    assert weigh.open(url)["fc.weight"].shape == (600, 500)


def test_what_is_not_there(hub: Web) -> None:
    for url in ("hf://org/none/model.safetensors", "hf://org/name/none.safetensors", "hf://name"):
        with pytest.raises(SourceError) as caught:
            weigh.open(url)
        text = str(caught.value)
        assert text.startswith(url)
        assert "\n" not in text
        assert "secret" not in text


def test_a_gated_model(hub: Web) -> None:
    hub.always["/org/name/resolve/main/model.safetensors"] = Answer(403)
    with pytest.raises(SourceError, match=r"refuses access.*Run: hf auth login"):
        weigh.open("hf://org/name/model.safetensors")


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'weigh\[hf\]'"):
        weigh.open("hf://org/name")
