"""Files on a web server: what is asked for, what comes back wrong, and what is said about it."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

import weigh
from servers import Answer, Web, web_server
from weigh._errors import FormatError, SourceError, UnsupportedError, UsageError
from weigh._sources import patience
from weigh._sources.places import open_place

GUESS = 65536
PATH = "/models/model.safetensors"
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((600, 500)).astype("f4")
SMALL = save({"fc.weight": WEIGHT, "fc.bias": np.arange(600, dtype="f4")})
MANY = save({f"layers.{i}.fc.weight": np.full((8, 8), i, "f4") for i in range(1500)})


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "WEIGH_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as web:
        web.files[PATH] = SMALL
        yield web


def said(web: Web, path: str = PATH, kind: type[Exception] = SourceError) -> str:
    with pytest.raises(kind) as caught:
        weigh.open(web.url + path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(web.url), text
    return text


def weigh_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "weigh", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_listing_takes_one_request_of_64_kib(web: Web) -> None:
    assert len(SMALL) > GUESS
    net = weigh.open(web.url + PATH)
    assert net["fc.weight"].shape == (600, 500)
    assert (web.ranges, web.sent) == ([f"bytes=0-{GUESS - 1}"], GUESS)
    assert web.asked[0].headers["accept-encoding"] == "identity"


def test_a_slice_takes_its_own_bytes(web: Web) -> None:
    net = weigh.open(web.url + PATH)
    web.forget()
    row = net["fc.weight"][300:310]
    assert np.array_equal(np.asarray(row), WEIGHT[300:310])
    begin = SMALL.index(WEIGHT.tobytes()) + 300 * 2000
    assert web.ranges == [f"bytes={begin}-{begin + 20_000 - 1}"]
    assert web.asked[0].headers["if-match"].startswith('"')
    assert web.connections == 1


def test_a_tiny_slice_takes_no_more_than_4_kib_and_comes_again_for_nothing(web: Web) -> None:
    net = weigh.open(web.url + PATH)
    web.forget()
    for _ in range(3):
        assert np.array_equal(np.asarray(net["fc.weight"][400, :3]), WEIGHT[400, :3])
    assert (len(web.asked), web.sent) == (1, 4096)


def test_a_header_larger_than_the_first_guess_takes_its_rest_and_no_more(web: Web) -> None:
    web.files[PATH] = MANY
    header = 8 + struct.unpack("<Q", MANY[:8])[0]
    assert header > GUESS + 4096
    assert len(weigh.open(web.url + PATH).tensors()) == 1500
    assert web.ranges == [f"bytes=0-{GUESS - 1}", f"bytes={GUESS}-{header - 1}"]


def test_a_file_smaller_than_the_guess(web: Web) -> None:
    web.files["/a"] = save({"b": np.arange(3)})
    assert np.asarray(weigh.open(web.url + "/a")["b"]).tolist() == [0, 1, 2]
    assert len(web.asked) == 1


def torch_zip(count: int, size: int) -> bytes:
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({f"w{i}": torch.full((size,), float(i)) for i in range(count)}, buffer)
    return buffer.getvalue()


def test_a_torch_zip_takes_its_head_its_tail_and_a_look_at_each_storage(web: Web) -> None:
    data = web.files["/a.pt"] = torch_zip(5, 100_000)
    net = weigh.open(web.url + "/a.pt")
    assert np.asarray(net["w3"][-2:]).tolist() == [3.0, 3.0]
    ranges = [tuple(map(int, r.removeprefix("bytes=").split("-"))) for r in web.ranges]
    # The pickle is in the head, the directory in the tail; the headers of four storages are in
    # between, and the last range is the slice.
    assert ranges[0] == (0, GUESS - 1)
    assert ranges[1] == (len(data) - 65557, len(data) - 1)
    assert len(ranges) == 7
    assert web.sent < GUESS + 65557 + 6 * 4096


def test_many_small_storages_are_looked_at_together(web: Web) -> None:
    web.files["/a.pt"] = torch_zip(400, 500)
    assert len(weigh.open(web.url + "/a.pt").tensors()) == 400
    assert len(web.asked) <= 20


def test_npz_and_legacy(web: Web) -> None:
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(50_000), b=np.arange(40_000))
    web.files["/a.npz"] = buffer.getvalue()
    net = weigh.open(web.url + "/a.npz")
    assert np.asarray(net["b"][39_999:]).tolist() == [39_999]
    assert len(web.asked) <= 5
    buffer = io.BytesIO()
    many = {f"w{i}": torch.full((20_000,), float(i)) for i in range(40)}
    torch.save(many, buffer, _use_new_zipfile_serialization=False)
    web.files["/b.pt"] = buffer.getvalue()
    web.forget()
    web.pause = 0.02
    assert np.asarray(weigh.open(web.url + "/b.pt")["w39"][-2:]).tolist() == [39.0, 39.0]
    assert len(web.asked) <= 43
    assert web.most_at_once > 4


def test_the_command(web: Web) -> None:
    done = weigh_command("values", web.url + PATH, "fc.weight[1, :2]")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tensor" in done.stdout
    missing = weigh_command("show", web.url.replace("//", "//me:secret@") + "/no?sig=secret")
    assert missing.returncode == 2
    assert missing.stdout == ""
    assert missing.stderr.splitlines() == [
        f"weigh: {web.url}/no: there is no such file; saw 404 Not Found. Check the URL."
    ]
    name = weigh_command("values", web.url.replace("//", "//me:secret@") + PATH + "?s=secret", "x")
    assert name.returncode == 2
    assert "secret" not in name.stdout + name.stderr


def test_user_password_and_query_are_sent_and_never_shown(web: Web) -> None:
    url = web.url.replace("//", "//me:p%40ss@") + PATH + "?X-Signature=secret"
    net = weigh.open(url)
    assert web.asked[0].path == PATH + "?X-Signature=secret"
    assert web.asked[0].headers["authorization"] == "Basic bWU6cEBzcw=="
    assert net.location == web.url + PATH
    web.files.clear()
    with pytest.raises(SourceError) as caught:
        np.asarray(net["fc.weight"])
    assert "secret" not in str(caught.value)
    assert web.url + PATH in str(caught.value)


@given(st.text(st.characters(exclude_characters="/?#@: ", categories=["L", "N", "P"]), min_size=8))
def test_no_password_and_no_signature_is_ever_in_a_message(secret: str) -> None:
    error = SourceError("x", seen=f"ftp://me:{secret}@host/a?k={secret}", where="y")
    assert secret not in str(error)
    assert "ftp://host/a" in str(error)
    at = SourceError("x").at(f"https://{secret}@host:1/a@b/c?sig={secret}&x=https://u:{secret}@h")
    assert str(at) == "https://host:1/a@b/c: x"
    assert at.where == "https://host:1/a@b/c"


@pytest.mark.parametrize("url", ["http://a:b/c@d/e", "http://h:99999999/", "http://[::1/x"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(UsageError, match="no valid URL") as caught:
        weigh.open(url)
    assert "b/c" not in str(caught.value)


@pytest.mark.parametrize("url", ["http:///x", "https://", "http://" + "a" * 70 + ".test/x"])
def test_a_host_that_is_none(url: str) -> None:
    with pytest.raises((SourceError, UsageError)):
        weigh.open(url)


def test_a_path_of_any_letters(web: Web) -> None:
    web.files["/%C3%A9t%C3%A9%20d/a%2Fb"] = SMALL
    assert weigh.open(web.url + "/été d/a%2Fb")["fc.bias"].shape == (600,)


def test_a_server_without_ranges_is_not_downloaded(web: Web) -> None:
    web.always[PATH] = Answer(200, {"Content-Length": "140000000000"}, SMALL[:100], hang_up=True)
    text = said(web, kind=UnsupportedError)
    assert "does not answer range requests" in text
    assert "140,000,000,000 bytes" in text
    assert "Download the file first" in text
    assert len(web.asked) == 1
    # A body of a length that is not said.
    web.always[PATH] = Answer(200, {"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n")
    assert "range requests" in said(web, kind=UnsupportedError)


def test_a_small_file_may_come_whole(web: Web) -> None:
    data = save({"b": np.arange(3)})
    web.always["/a"] = Answer(200, {}, data)
    assert np.asarray(weigh.open(web.url + "/a")["b"]).tolist() == [0, 1, 2]


def test_an_empty_file(web: Web) -> None:
    web.files["/a"] = b""
    assert "the file is empty" in said(web, "/a", FormatError)
    web.always["/b"] = Answer(200)
    assert "the file is empty" in said(web, "/b", FormatError)


def test_what_passes_is_tried_again(web: Web) -> None:
    web.before[PATH] = [Answer(503), Answer(429)]
    assert weigh.open(web.url + PATH)["fc.bias"].shape == (600,)
    assert len(web.asked) == 3


def test_what_does_not_pass_is_told(web: Web) -> None:
    web.always[PATH] = Answer(503)
    assert "the server fails; saw 503 Service Unavailable, 4 times" in said(web)
    assert len(web.asked) == 4


@pytest.mark.parametrize("status", [401, 403])
def test_refused_access(web: Web, status: int) -> None:
    web.always[PATH] = Answer(status)
    text = said(web)
    assert "the server refuses access" in text
    assert str(status) in text
    assert len(web.asked) == 1


def test_a_body_cut_short(web: Web) -> None:
    def short() -> Answer:
        headers = {"Content-Range": f"bytes 0-65535/{len(SMALL)}", "Content-Length": "65536"}
        return Answer(206, headers, SMALL[:1000], hang_up=True)

    web.before[PATH] = [short()]
    assert weigh.open(web.url + PATH)["fc.bias"].shape == (600,)
    web.always[PATH] = short()
    assert "the answer was cut short; saw 1,000 bytes of 65,536" in said(web)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Content-Range": f"bytes 0-999/{len(SMALL)}"}, "another range"),
        ({"Content-Range": f"bytes 5-1004/{len(SMALL)}"}, "another range"),
        ({"Content-Range": "bytes 0-999/*"}, "does not say which bytes"),
        ({"Content-Range": "lines 1-2/3"}, "does not say which bytes"),
        ({}, "does not say which bytes"),
        ({"Content-Range": "bytes 0-999/1000", "Content-Encoding": "gzip"}, "compressed"),
    ],
)
def test_answers_to_another_question(web: Web, headers: dict[str, str], told: str) -> None:
    web.always[PATH] = Answer(206, headers, SMALL[:1000])
    assert told in said(web)


def test_an_answer_shorter_than_it_says(web: Web) -> None:
    """A length of 1,000 in one header and of 65,536 in the other is no whole answer."""
    web.always[PATH] = Answer(206, {"Content-Range": f"bytes 0-65535/{len(SMALL)}"}, SMALL[:1000])
    assert "cut short" in said(web)


@pytest.mark.parametrize("etags", [True, False])
def test_a_file_that_changes_while_it_is_read(web: Web, etags: bool) -> None:
    web.etags = etags
    net = weigh.open(web.url + PATH)
    web.files[PATH] = save({"fc.weight": np.zeros((900, 500), "f4")})
    with pytest.raises(SourceError, match="changed while it was being read") as caught:
        np.asarray(net["fc.weight"][300:500])
    assert str(caught.value).startswith(web.url + PATH)


def test_a_server_that_heeds_no_condition(web: Web) -> None:
    net = weigh.open(web.url + PATH)
    start = SMALL.index(WEIGHT.tobytes()) + 300 * 2000
    headers = {"Content-Range": f"bytes {start}-{start + 19999}/{len(SMALL)}", "ETag": '"other"'}
    web.always[PATH] = Answer(206, headers, bytes(20_000))
    with pytest.raises(SourceError, match="changed while it was being read"):
        np.asarray(net["fc.weight"][300:310])


def test_a_weak_tag_is_compared_and_not_sent(web: Web) -> None:
    begin = {"Content-Range": f"bytes 0-65535/{len(SMALL)}", "ETag": 'W/"1"'}
    web.before[PATH] = [Answer(206, begin, SMALL[:GUESS])]
    net = weigh.open(web.url + PATH)
    with pytest.raises(SourceError, match="changed"):
        np.asarray(net["fc.weight"][300:310])
    assert "if-match" not in web.asked[-1].headers


def test_a_redirect_is_followed_once(web: Web) -> None:
    web.always["/here"] = Answer(302, {"Location": f"{PATH}?token=1"}, b"over there")
    net = weigh.open(web.url + "/here")
    assert np.array_equal(np.asarray(net["fc.weight"][300:310]), WEIGHT[300:310])
    assert [one.path for one in web.asked] == ["/here", f"{PATH}?token=1", f"{PATH}?token=1"]
    assert web.connections == 1


def test_where_a_redirect_led_may_expire(web: Web) -> None:
    web.always["/here"] = Answer(302, {"Location": f"{PATH}?token=1"})
    net = weigh.open(web.url + "/here")
    web.before[PATH] = [Answer(403)]
    assert np.array_equal(np.asarray(net["fc.weight"][300:310]), WEIGHT[300:310])
    assert [one.path for one in web.asked[2:]] == [f"{PATH}?token=1", "/here", f"{PATH}?token=1"]


def test_another_server_is_told_no_password(web: Web) -> None:
    with web_server() as other:
        other.files["/x"] = SMALL
        web.always["/here"] = Answer(307, {"Location": other.url + "/x"})
        weigh.open(web.url.replace("//", "//me:pass@") + "/here")
        assert "authorization" in web.asked[0].headers
        assert "authorization" not in other.asked[0].headers


@pytest.mark.parametrize("there", ["/here", "file:///etc/passwd", "ftp://x/", "", "http://[", "//"])
def test_redirects_that_lead_nowhere(web: Web, there: str) -> None:
    web.always["/here"] = Answer(302, {"Location": there})
    assert "redirect" in said(web, "/here")
    assert len(web.asked) <= 10


def test_a_slow_server(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGH_TIMEOUT", "0.05")
    web.always[PATH] = Answer(206, {}, b"", wait=0.3)
    text = said(web)
    assert "does not answer in time. Set WEIGH_TIMEOUT to more seconds." in text


@pytest.mark.parametrize("wrong", ["soon", "0", "-1", "nan"])
def test_a_timeout_that_is_none(web: Web, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("WEIGH_TIMEOUT", wrong)
    assert "WEIGH_TIMEOUT" in said(web, kind=UsageError)


def test_no_server_and_no_host(web: Web) -> None:
    with pytest.raises(SourceError, match="the connection failed; saw connection refused"):
        weigh.open("http://127.0.0.1:9/x")
    with pytest.raises(SourceError, match="the host cannot be found"):
        weigh.open("http://no-such-host.invalid/x")
    with pytest.raises(SourceError, match="the connection failed"):
        weigh.open(web.url.replace("http:", "https:") + PATH)  # speaks no TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate for 127.0.0.1 that nobody but its maker has signed, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path / "both.pem"
    path.write_bytes(secret + made.public_bytes(pem))
    return path


def test_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server(certificate) as web:
        web.files[PATH] = SMALL
        text = said(web)
        assert "certificate is not trusted; saw self-signed certificate" in text
        assert "SSL_CERT_FILE" in text
        assert web.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert weigh.open(web.url + PATH)["fc.bias"].shape == (600,)
        # From a safe connection, never to an open one.
        web.always["/here"] = Answer(302, {"Location": web.url.replace("https:", "http:") + PATH})
        assert "redirects to a place we do not go" in said(web, "/here")


def test_a_connection_that_was_idle_may_be_gone(web: Web) -> None:
    net = weigh.open(web.url + PATH)
    # The server hangs up after its next answer, and does not say so.
    web.before[PATH] = [Answer(503, hang_up=True)]
    assert np.array_equal(np.asarray(net["fc.weight"][300:310]), WEIGHT[300:310])
    assert web.connections == 2


def test_a_proxy_is_asked_instead(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", web.url.replace("//", "//you:word@"))
    web.files["/x"] = SMALL
    weigh.open("http://far.invalid/x")
    assert web.asked[0].path == "http://far.invalid/x"
    assert web.asked[0].headers["host"] == "far.invalid"
    assert web.asked[0].headers["proxy-authorization"].startswith("Basic ")
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(UnsupportedError, match="the proxy is of a kind"):
        weigh.open("http://far.invalid/x")


def test_folders_cannot_be_listed_but_siblings_open(web: Web) -> None:
    assert "cannot list a folder" in said(web, "/models/", UnsupportedError)
    file = open_place(web.url + PATH + "?t=1")
    web.files["/models/a%20b.json"] = b"{}"
    folder = file.beside
    assert folder is not None
    assert folder.far
    sibling = folder.open("a b.json")
    assert bytes(sibling.view(0, 2)) == b"{}"
    assert sibling.name == web.url + "/models/a b.json"
    assert web.asked[-1].path == "/models/a%20b.json?t=1"
    for path in ("../x", "/x", "a/../../x", "http://other/x", ""):
        with pytest.raises(FormatError):
            folder.open(path)


def test_many_files_are_opened_at_the_same_time(web: Web) -> None:
    names = [f"part-{i}.safetensors" for i in range(62)]
    for i, name in enumerate(names):
        web.files[f"/models/{name}"] = MANY if i == 7 else SMALL
    file = open_place(web.url + PATH)
    web.forget()
    web.pause = 0.02
    assert file.beside is not None
    files = file.beside.open_all(names)
    assert [one.name.rpartition("/")[2] for one in files] == names
    assert [one.size for one in files] == [len(MANY if i == 7 else SMALL) for i in range(62)]
    assert len(web.asked) == 62
    assert 8 <= web.most_at_once <= 16
    web.always["/models/part-50.safetensors"] = Answer(404)
    with pytest.raises(SourceError, match=r"part-50\.safetensors: there is no such file"):
        file.beside.open_all(names)


def test_a_sharded_model_takes_a_request_for_each_file_and_one_more_for_long_headers(
    web: Web,
) -> None:
    names = [f"model-{i:05}-of-00062.safetensors" for i in range(1, 63)]
    where: dict[str, str] = {}
    for i, name in enumerate(names):
        count = 1500 if i == 3 else 2
        parts = {f"{i}.{j}.weight": np.full((8, 8), j, "f4") for j in range(count)}
        web.files[f"/m/{name}"] = save(parts)
        where |= dict.fromkeys(parts, name)
    index = json.dumps({"weight_map": where}).encode()
    web.files["/m/model.safetensors.index.json"] = index
    net = weigh.open(web.url + "/m/model.safetensors.index.json")
    assert len(net.tensors()) == 1500 + 61 * 2
    more = 1 if len(index) > GUESS else 0
    assert len(web.asked) == 1 + more + 62 + 1


def test_views_from_many_threads(web: Web) -> None:
    file = open_place(web.url + PATH)
    rng = np.random.default_rng(1)
    spans = [sorted(map(int, rng.integers(0, len(SMALL), 2))) for _ in range(200)]
    wrong: list[tuple[int, int]] = []

    def read(mine: list[list[int]]) -> None:
        for start, stop in mine:
            if bytes(file.view(start, stop - start)) != SMALL[start:stop]:
                wrong.append((start, stop))

    threads = [threading.Thread(target=read, args=(spans[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_closed_file_and_what_is_not_in_it(web: Web) -> None:
    file = open_place(web.url + PATH)
    held = file.view(0, 8)
    with pytest.raises(FormatError, match="ends early"):
        file.view(len(SMALL) - 1, 2)
    file.close()
    file.close()
    with pytest.raises(SourceError, match="the file is closed"):
        file.view(0, 8)
    assert bytes(held) == SMALL[:8]
    with pytest.raises(TypeError):
        held[0] = 1


def test_nothing_that_a_server_sends_breaks_it(web: Web) -> None:
    """Answers that are no HTTP at all, or endless, end in one clear error."""
    for headers in (
        {"Content-Length": "x"},
        {"Content-Length": "-5"},
        {"Content-Range": "bytes 0-999999999999999999/999999999999999999"},
        {"Content-Range": "bytes 0-65535/99999999999999999999999"},
        {"Transfer-Encoding": "chunked", "Content-Range": f"bytes 0-65535/{len(SMALL)}"},
        {f"X-{i}": "a" for i in range(200)},
        {"X": "a" * 70_000},
    ):
        web.always[PATH] = Answer(206, headers, SMALL[:1000], hang_up=True)
        said(web)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 206",
        b"HTTP/1.1 xyz OK\r\n\r\n",
        b"\0" * 99,
        b"HTTP/1.1 " * 20_000,
    ],
)
def test_a_server_that_speaks_something_else(sent: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                for _ in range(patience.TRIES):
                    peer, _ = server.accept()
                    with peer:
                        peer.recv(4096)
                        peer.sendall(sent)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(SourceError, match=r"the connection failed|does not say"):
            weigh.open(f"http://127.0.0.1:{server.getsockname()[1]}/x")


@pytest.mark.parametrize("drip", [b"HTTP/1.1 100 Continue\r\n\r\n", b"a"])
def test_a_head_that_never_ends(drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGH_TIMEOUT", "0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                for _ in range(patience.TRIES):
                    peer, _ = server.accept()
                    with peer, contextlib.suppress(OSError):
                        while peer.send(drip):
                            time.sleep(0.01)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(SourceError, match="the connection failed"):
            weigh.open(f"http://127.0.0.1:{server.getsockname()[1]}/x")


@pytest.mark.skipif(sys.platform == "win32", reason="counts in another way there")
def test_opening_a_url_imports_no_numpy_and_no_other_client(web: Web) -> None:
    program = (
        "import sys, weigh; weigh.open(sys.argv[1]);"
        "print([m for m in ('numpy','obstore','fsspec','huggingface_hub') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(weigh.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program, web.url + PATH],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.strip() == "[]"
