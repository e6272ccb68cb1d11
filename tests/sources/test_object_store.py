"""Object stores: S3 against a server that speaks it, the other two against what they ask for."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import weigh
from servers import Answer, Web, put, s3_server, web_server
from weigh._errors import FormatError, SourceError, UnsupportedError, UsageError
from weigh._sources.places import open_place
from weigh._sources.remote import RemoteFolder

pytest.importorskip("obstore")

GUESS = 65536
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((600, 500)).astype("f4")
SMALL = save({"fc.weight": WEIGHT, "fc.bias": np.arange(600, dtype="f4")})
MANY = save({f"layers.{i}.fc.weight": np.full((8, 8), i, "f4") for i in range(1500)})


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    pytest.importorskip("moto")
    with s3_server() as web:
        put(web, "/bucket")
        put(web, "/bucket/model.safetensors", SMALL)
        put(web, "/bucket/many.safetensors", MANY)
        put(web, "/bucket/empty.safetensors")
        put(web, "/bucket/one/model.safetensors", SMALL)
        put(web, "/bucket/one/config.json", b'{"architectures": ["Toy"], "width": 500}')
        put(web, "/bucket/one/deeper/x.txt", b"x")
        yield web


@pytest.fixture
def s3(server: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Web:
    for name in ("AWS_PROFILE", "AWS_SKIP_SIGNATURE", "AWS_SESSION_TOKEN", "WEIGH_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    server.forget()
    return server


def said(url: str, kind: type[Exception] = SourceError) -> str:
    with pytest.raises(kind) as caught:
        weigh.open(url)
    text = str(caught.value)
    assert "\n" not in text
    assert "secret" not in text
    assert text.startswith(url.partition("?")[0])
    return text


def test_show_takes_one_request(s3: Web) -> None:
    command = [sys.executable, "-m", "weigh", "show", "s3://bucket/model.safetensors", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sorted(t["shape"] for t in json.loads(done.stdout)["tensors"]) == [[600], [600, 500]]
    assert [(one.path, one.sent) for one in s3.asked] == [("GET /bucket/model.safetensors", GUESS)]


def test_a_long_header_takes_two(s3: Web) -> None:
    assert len(weigh.open("s3://bucket/many.safetensors").tensors()) == 1500
    header = 8 + struct.unpack("<Q", MANY[:8])[0]
    assert s3.ranges == [f"bytes=0-{GUESS - 1}", f"bytes={GUESS}-{header - 1}"]
    assert s3.sent == header


def test_a_slice_takes_its_own_bytes(s3: Web) -> None:
    net = weigh.open("s3://bucket/model.safetensors")
    assert np.array_equal(np.asarray(net["fc.weight"][300:310]), WEIGHT[300:310])
    assert [one.sent for one in s3.asked] == [GUESS, 20_000]
    assert s3.asked[1].headers["if-match"].startswith('"')


def test_an_object_that_changes_while_it_is_read(s3: Web) -> None:
    from obstore.store import S3Store

    store = S3Store.from_url("s3://bucket", client_options={"allow_http": True})
    store.put("moving.safetensors", SMALL)
    net = weigh.open("s3://bucket/moving.safetensors")
    store.put("moving.safetensors", MANY + SMALL)
    with pytest.raises(SourceError, match="changed while it was being read"):
        np.asarray(net["fc.weight"][300:310])


@pytest.mark.parametrize("url", ["s3://bucket/one", "s3://bucket/one/"])
def test_a_name_of_no_object_is_a_folder(s3: Web, url: str) -> None:
    folder = open_place(url)
    assert isinstance(folder, RemoteFolder)
    assert (folder.files(), folder.folders()) == (["config.json", "model.safetensors"], ["deeper"])
    assert folder.name == "s3://bucket/one/"
    assert len(s3.asked) == (1 if url.endswith("/") else 2)
    assert folder.folder("deeper").files() == ["x.txt"]
    with pytest.raises(SourceError, match="there is no such folder"):
        folder.folder("nothing")
    with pytest.raises(FormatError):
        folder.folder("../..")


def test_a_folder_is_read_as_a_model(s3: Web) -> None:
    net = weigh.open("s3://bucket/one")
    assert net["fc.weight"].shape == (600, 500)
    # No object of that name; the list; the weights; the config.
    assert len(s3.asked) == 4


def test_a_whole_bucket_is_a_folder(s3: Web) -> None:
    for url in ("s3://bucket", "s3://bucket/"):
        folder = open_place(url)
        assert isinstance(folder, RemoteFolder)
        assert folder.name == "s3://bucket/"
        assert "model.safetensors" in folder.files()
        assert folder.open("one/config.json").size == 40


def test_a_sharded_model_takes_a_request_for_each_shard(s3: Web) -> None:
    names = [f"model-{i:05}-of-00062.safetensors" for i in range(1, 63)]
    for i, name in enumerate(names):
        put(s3, f"/bucket/shards/{name}", save({f"{i}.weight": np.full((8, 8), i, "f4")}))
    where = {f"{i}.weight": name for i, name in enumerate(names)}
    index = json.dumps({"weight_map": where}).encode()
    put(s3, "/bucket/shards/model.safetensors.index.json", index)
    s3.forget()
    net = weigh.open("s3://bucket/shards/model.safetensors.index.json")
    assert len(net.tensors()) == 62
    assert len(s3.asked) == 63
    assert float(np.asarray(net["61.weight"][0, 0])) == 61


def test_a_key_is_taken_to_the_letter(s3: Web) -> None:
    from obstore.store import S3Store

    store = S3Store.from_url("s3://bucket", client_options={"allow_http": True})
    for key in ("odd/a%20b c.safetensors", "odd/é?x=1#y.safetensors", "odd/a&b+c=d.safetensors"):
        store.put(key, SMALL)
        s3.forget()
        assert weigh.open(f"s3://bucket/{key}")["fc.bias"].shape == (600,)
        assert len(s3.asked) == 1
    for key in ("odd//x", "odd/../x", "/x"):
        said(f"s3://bucket/{key}")


def test_what_is_not_there(s3: Web) -> None:
    assert "there is no such file; saw 404 Not Found NoSuchKey" in said("s3://bucket/no")
    assert "there is no such bucket" in said("s3://no-such-bucket/x")
    assert "no file" in said("s3://bucket/no/")
    assert "the file is empty" in said("s3://bucket/empty.safetensors", FormatError)
    assert "names no bucket" in said("s3:///x", UsageError)


def test_no_server(s3: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "the store cannot be read" in said("s3://bucket/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://no-such-host.invalid")
    assert "The host cannot be found" in said("s3://bucket/x")


def test_a_public_bucket_is_asked_without_a_signature(
    s3: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    weigh.open("s3://bucket/model.safetensors")
    assert "key/" in s3.asked[0].headers["authorization"]
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    s3.forget()
    with pytest.raises(SourceError, match="the store refuses access"):
        weigh.open("s3://bucket/model.safetensors")
    assert "authorization" not in s3.asked[0].headers


def test_keys_come_from_the_files_of_aws(
    s3: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "work")
    (tmp_path / "credentials").write_text(
        "[work]\naws_access_key_id = mine\naws_secret_access_key = secret%x\n", "utf-8"
    )
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-3\n", "utf-8")
    weigh.open("s3://bucket/model.safetensors")
    assert "mine/" in s3.asked[0].headers["authorization"]
    assert "/eu-west-3/" in s3.asked[0].headers["authorization"]


def test_no_keys_at_all(s3: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with web_server() as cloud:  # where a machine in a cloud gets its keys
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", cloud.url)
        text = said("s3://bucket/model.safetensors")
    assert "no credentials for this store were found" in text
    assert "AWS_SKIP_SIGNATURE=true for a public bucket" in text


@pytest.fixture
def odd(s3: Web, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server that answers as it is told, where an S3 one is looked for."""
    with web_server() as web:
        monkeypatch.setenv("AWS_ENDPOINT_URL", web.url)
        web.files["/bucket/a"] = SMALL
        yield web


def test_answers_that_pass_and_do_not(odd: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    odd.before["/bucket/a"] = [Answer(503), Answer(500)]
    assert weigh.open("s3://bucket/a")["fc.bias"].shape == (600,)
    assert len(odd.asked) == 3
    odd.forget()
    odd.always["/bucket/a"] = Answer(503)
    assert "the store fails; saw 503" in said("s3://bucket/a")
    assert len(odd.asked) == 4


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials(odd: Web, status: int) -> None:
    body = b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
    odd.always["/bucket/a"] = Answer(status, {}, body)
    text = said("s3://bucket/a")
    assert "the store refuses access" in text
    assert "AWS_ACCESS_KEY_ID" in text


def test_a_server_without_ranges(odd: Web) -> None:
    odd.always["/bucket/a"] = Answer(200, {"Content-Length": "140000000000"}, b"", hang_up=True)
    assert "does not answer range requests" in said("s3://bucket/a", UnsupportedError)


def test_a_body_cut_short(odd: Web) -> None:
    headers = {"Content-Range": f"bytes 0-65535/{len(SMALL)}", "Content-Length": "65536"}
    headers |= {"ETag": '"1"', "Last-Modified": "Tue, 01 Jan 2030 00:00:00 GMT"}
    odd.always["/bucket/a"] = Answer(206, headers, SMALL[:1000], hang_up=True)
    said("s3://bucket/a")
    headers["Content-Length"] = "1000"
    odd.always["/bucket/a"] = Answer(206, headers, SMALL[:1000])
    assert "cut short" in said("s3://bucket/a")


def test_another_range_or_another_object(odd: Web) -> None:
    headers = {"Content-Range": f"bytes 7-1006/{len(SMALL)}", "ETag": '"1"'}
    headers["Last-Modified"] = "Tue, 01 Jan 2030 00:00:00 GMT"
    odd.before["/bucket/a"] = [Answer(206, headers, SMALL[:1000])]
    said("s3://bucket/a")


def test_google_and_azure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with web_server() as web:
        key = {
            "gcs_base_url": web.url,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
        }
        key |= {"private_key_id": "x"}
        (tmp_path / "key.json").write_text(json.dumps(key), "utf-8")
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "key.json"))
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", web.url)
        monkeypatch.setenv("AZURE_SKIP_SIGNATURE", "true")
        web.files = {
            "/bucket/a%2Fb%2Esafetensors": SMALL,
            "/bucket/a/b.safetensors": SMALL,
        }
        for url in ("gs://bucket/a/b.safetensors", "az://bucket/a/b.safetensors"):
            web.forget()
            net = weigh.open(url)
            assert np.array_equal(np.asarray(net["fc.weight"][300:310]), WEIGHT[300:310])
            assert [one.sent for one in web.asked] == [GUESS, 20_000], url


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    text = said("s3://bucket/x", UnsupportedError)
    assert "needs a library that is not installed" in text
    assert text.endswith("Run: pip install 'weigh[remote]'.")
