"""What is in a report, before any browser opens it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import zlib
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from reported import HOSTILE, arrays, changed, saved

import weigh
from weigh._errors import SourceError


class Parts(HTMLParser):
    """The elements of a page by tag, and what is in its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.found and self.cdata_elem:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)
        else:
            self.text += data

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for one, attributes, text in self.found if one == tag]


def index_of(page: str) -> dict:
    [text] = [
        text for attributes, text in Parts(page).of("script") if attributes.get("id") == "index"
    ]
    return json.loads(text)


def items_of(page: str) -> list[dict]:
    """All details, unpacked as the page does it, with the codes of pictures."""
    items = []
    for attributes, text in Parts(page).of("script"):
        if not str(attributes.get("id", "")).startswith("chunk-"):
            continue
        whole = zlib.decompress(b64decode(text))
        length = int.from_bytes(whole[:4], "little")
        cells = whole[4 + length :]
        for item in json.loads(whole[4 : 4 + length]):
            at = item.get("cells", 0)
            for picture in item.get("pictures", ()):
                rows, columns = picture["size"]
                codes = np.frombuffer(cells, np.uint8, rows * columns, at)
                picture["codes"] = codes.reshape(rows, columns)
                at += rows * columns * (4 if picture.get("rgb") else 1)
            items.append(item)
    return items


def details(page: str) -> dict[str, dict]:
    index = index_of(page)
    items = items_of(page)
    assert len(items) == len(index["own"])
    names: list[str] = []
    for at, own in enumerate(index["own"]):
        above = index["parents"][at]
        over = names[above] if above >= 0 else ""
        names.append(index["names"].get(str(at), f"{over}.{own}" if over else own))
    return dict(zip(names, items, strict=True))


def test_only_our_own_script_and_style_may_run() -> None:
    parts = Parts(weigh.report(arrays()))
    [policy] = [
        a["content"]
        for a, _ in parts.of("meta")
        if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    run = [text for a, text in parts.of("script") if "type" not in a]
    assert len(run) == 2
    for text in [*run, *(text for _, text in parts.of("style"))]:
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    # Nothing is asked of any network, whatever a policy lets through.
    assert [a for _, a, _ in parts.found if "src" in a] == []
    assert {a["href"] for _, a, _ in parts.found if "href" in a} == {"data:,", "#?"}
    assert [
        a for _, a, _ in parts.found if any(key.startswith("on") or key == "style" for key in a)
    ] == []


def test_names_stay_data() -> None:
    page = weigh.report({name: np.ones(3, "f4") for name in HOSTILE})
    parts = Parts(page)
    assert len(parts.of("script")) == 4  # the theme, the index, one chunk, the page's own
    assert not parts.of("img")
    index = index_of(page)
    assert {name for name in HOSTILE if name not in details(page)} == set()
    assert "<" not in json.dumps(index["own"]).replace("<", "\\u003c")
    assert "alert(1)" in parts.text  # in the table for those who run no scripts
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_numbers_are_those_of_the_library() -> None:
    state = arrays()
    network = weigh.open(state)
    page = weigh.report(network)
    found = details(page)
    index = index_of(page)
    labels = [label for _, group in index["statistics"] for label in group]
    for name in state:
        item = found[name]
        statistics = network.stats(name)[name]
        told = dict(zip(labels, item["statistics"], strict=True))
        assert told["mean"] == f"{statistics.mean:.6g}"
        assert told["quantile 0.001"] == f"{statistics.quantiles['0.001']:.6g}"
        assert told["NaN"] == str(statistics.nan)
        [e] = weigh.explain(network, name)
        assert item["sentences"] == list(e.sentences)
        assert [axis[0] for axis in item["axes"]] == [axis.name for axis in network[name].axes]
        picture = network[name].picture()
        [shown] = item["pictures"]
        assert shown["caption"] == list(picture.caption)
        assert np.array_equal(shown["codes"], picture.sheet.codes)
        for scale in ("linear", "symlog"):
            histogram = weigh.histogram(network, name, scale=scale).with_bins(64)
            assert item["histograms"][scale]["counts"] == [list(p.counts) for p in histogram.parts]
    assert index["findings"]["rows"][0]["rule"] == "non-finite"


def test_every_statistic_has_its_place() -> None:
    from weigh._measures.statistics import QUANTILES, quantile_key
    from weigh._report.statistics import GROUPS

    told = {key for _, rows in GROUPS for key, _ in rows}
    known = {*weigh.Statistics.__match_args__} - {"dtype", "quantiles"}
    assert told == known | {quantile_key(quantile) for quantile in QUANTILES}


def test_two_networks_are_told_apart() -> None:
    page = weigh.report(arrays(), changed())
    index, found = index_of(page), details(page)
    report = weigh.diff(arrays(), changed())
    assert [text for text, _ in index["changes"]["story"]] == [one.text for one in report.story]
    assert dict(index["changes"]["counts"])["changed"] == len(report.of("changed"))
    assert found["fc1.bias"]["change"]["kind"] == "unchanged"
    assert found["out.bias"]["change"]["kind"] == "removed"
    assert found["head.weight"]["change"]["kind"] == "added"
    both = found["conv2.weight"]
    assert len(both["histograms"]["linear"]["counts"]) == 2
    first, second = both["pictures"]
    assert first["limit"] == second["limit"]
    assert not np.array_equal(first["codes"], second["codes"])
    assert len(found["fc1.bias"]["pictures"]) == 1


def test_a_live_module_is_left_alone() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
    module.double_name = module[0]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    index = index_of(weigh.report(module))
    assert index["sources"][0]["source"] == ""
    assert ["Conv2d", "stated"] in index["kinds"]
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_what_has_no_values_says_why() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(2, 3, device="meta"), torch.nn.LazyLinear(2))
    found = details(weigh.report(module))
    assert "pictures" not in found["0.weight"]
    assert "meta" in found["0.weight"]["problem"]
    assert "first input" in found["1.weight"]["problem"]


def test_empty_and_odd_tensors() -> None:
    state = {
        "none": np.zeros((0, 3), "f4"),
        "one": np.array(3.0),
        "whole": np.arange(6, dtype="i8"),
        "complex": np.array([1 + 2j, 3]),
        "flags": np.array([True, False]),
        "nans": np.full(4, np.nan, "f4"),
        "same": np.full((8, 8), 0.5, "f2"),
        "wide": np.array([1e-300, 1e300]),
    }
    found = details(weigh.report(state))
    assert set(state) <= set(found)
    assert "histograms" not in found["none"]
    assert "histograms" not in found["nans"]
    assert found["one"]["statistics"][0] == "3"


# The command.


def weigh_report(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "weigh", "report", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_the_command_writes_what_the_function_gives(tmp_path: Path) -> None:
    path = saved(arrays(), tmp_path / "a.safetensors")
    done = weigh_report(path, "-o", tmp_path / "page.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = (tmp_path / "page.html").read_text("utf-8")
    weigh.report(path, path=tmp_path / "other.html")
    assert (tmp_path / "other.html").read_text("utf-8") == written == weigh.report(path)
    assert weigh_report(path, "-o", "-").stdout == written
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "a.safetensors",
        "other.html",
        "page.html",
    ]


def test_a_page_that_is_there_is_replaced_whole(tmp_path: Path) -> None:
    path, page = saved(arrays(), tmp_path / "a.safetensors"), tmp_path / "page.html"
    page.write_text("before")
    page.chmod(0o640)
    assert weigh_report(tmp_path / "absent.pt", "-o", page).returncode == 2
    assert page.read_text() == "before"
    assert weigh_report(path, "-o", page).returncode == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert stat.S_IMODE(page.stat().st_mode) == 0o640


def test_a_page_is_called_a_page(tmp_path: Path) -> None:
    """Else a second source whose ``-o`` was forgotten would be lost."""
    path, other = saved(arrays(), tmp_path / "a.safetensors"), tmp_path / "b.safetensors"
    other.write_bytes(b"weights")
    done = weigh_report(path, "-o", other)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "Let the name end in .html" in done.stderr
    assert other.read_bytes() == b"weights"
    assert weigh_report(path, "-o", "/dev/null").returncode == 0


def test_no_page_takes_the_place_of_weights(tmp_path: Path) -> None:
    path = saved(arrays(), tmp_path / "a.safetensors")
    before = path.read_bytes()
    link = tmp_path / "link.html"
    link.symlink_to(path)
    for page in (path, link, tmp_path / "." / "a.safetensors"):
        done = weigh_report(tmp_path / "b.safetensors", path, "-o", page)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert "the network that it shows" in done.stderr
        with pytest.raises(SourceError, match="the network that it shows"):
            weigh.report(path, path=page)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["a.safetensors", "-o", "absent/page.html"], "there is no such folder"),
        (["a.safetensors", "-o", "."], "this is a folder"),
        (["absent.pt", "-o", "page.html"], "absent.pt"),
        (["a.safetensors"], "Missing option '-o'"),
        (["a", "b", "c", "-o", "page.html"], "of one network, or of two"),
    ],
)
def test_whatever_is_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], complaint: str
) -> None:
    saved(arrays(), tmp_path / "a.safetensors")
    monkeypatch.chdir(tmp_path)
    done = weigh_report(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "page.html").exists()


def test_what_lets_one_in_is_not_written_down() -> None:
    from weigh._report.index import index_json
    from weigh._report.nodes import Nodes

    network = weigh.open(arrays())
    url = "https://me:secret@example.org/a.pt?X-Amz-Signature=ab"
    index = index_json([network], [url], Nodes.of(network), [0])
    assert index["sources"][0]["source"] == "https://example.org/a.pt"


def test_pages_of_many_tensors_stay_small() -> None:
    rng = np.random.default_rng(0)
    state = {f"layers.{at}.weight": rng.standard_normal((48, 32)).astype("f4") for at in range(300)}
    whole = weigh.report(state)
    assert len(index_of(whole)["chunks"]) > 3
    assert len(whole) < 300 * 4_000
    assert not re.search(r"\d{7}\.\d", whole)
