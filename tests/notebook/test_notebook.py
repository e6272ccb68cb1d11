"""A notebook is run by a real kernel, saved as HTML and opened in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter

from browser import Visit, Visitor

SETUP = """
import numpy, torch, weigh
from torch import nn
torch.manual_seed(0)
module = nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10))
before = {name: value.clone() for name, value in module.state_dict().items()}
after = {name: value + 0.01 * torch.randn_like(value) for name, value in before.items()}
hostile = {"<script>alert(1)</script>.weight": numpy.ones((2, 3), "f4"),
           "</style><img src=x onerror=alert(2)>": numpy.full((4,), numpy.nan),
           'a"onclick="alert(3)\\x1b[2J\\u202e': numpy.ones(3, "f4")}
net = weigh.open(module)
"""
SHOWN = (
    "net",
    'net["0"]',
    'net["0"].weight',
    'net["3"].weight',
    "weigh.open(nn.Linear(3, 2, device='meta')).weight",
    "weigh.open(nn.LazyLinear(3)).weight",
    "net.stats()",
    "weigh.check(after | {'3.bias': torch.full((10,), torch.nan)})",
    "weigh.diff(before, after)",
    "weigh.diff(before, after, before)",
    'net["0"].weight.picture()',
    "weigh.open(hostile)",
    "weigh.open(hostile)['<script>alert(1)</script>.weight']",
    "weigh.stats(hostile)",
    "weigh.check(hostile)",
)
NEIGHBOUR = """
from IPython.display import HTML
HTML("<div class='neighbour'><table><tr><th>a</th><td>1</td></tr></table><details open>"
     "<summary>b</summary><ul><li>c</li></ul></details><figure><svg></svg></figure>"
     "<code>d</code><pre>e</pre></div>")
"""
# By sockets in the file system, which no other user of the machine can listen to.
EXECUTE = """
import sys, nbclient, nbformat
from jupyter_client import AsyncKernelManager
notebook = nbformat.read(sys.argv[1], as_version=4)
manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip="kernel")
nbclient.NotebookClient(notebook, timeout=300, km=manager).execute()
nbformat.write(notebook, sys.argv[1])
"""
# Whatever belongs to no output of ours, and how it looks.
OUTSIDE = """() => {
  const sizes = /size$|^(width|height|top|left|right|bottom|inset|perspective-o|transform-o)/
  const look = style => [...style].filter(p => !sizes.test(p)).map(p => style[p]).join()
  return [...document.querySelectorAll("body, body *")]
    .filter(e => !e.closest(".weigh-view") && !e.querySelector(".weigh-view"))
    .map(e => e.tagName + look(getComputedStyle(e)))
}"""
INSIDE = """() => getComputedStyle(document.querySelector(".weigh-view")).borderTopWidth"""
NO_STYLE = """() => document.querySelectorAll(".weigh-view style").forEach(e => e.remove())"""
OPEN_ALL = """() => document.querySelectorAll("details").forEach(e => { e.open = true })"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = nbformat.v4.new_notebook()
    lines = [SETUP, *SHOWN, NEIGHBOUR]
    made.cells = [nbformat.v4.new_code_cell(line.strip()) for line in lines]
    folder = tmp_path_factory.mktemp("notebook")
    path = folder / "notebook.ipynb"
    nbformat.write(made, path)
    # In a process of its own: what the client leaves open is not our concern.
    subprocess.run([sys.executable, "-c", EXECUTE, path.name], cwd=folder, check=True)
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def outputs(notebook: Any) -> dict[str, Any]:
    return {line: cell.outputs for line, cell in zip(SHOWN, notebook.cells[1:], strict=False)}


def saved(notebook: Any, folder: Path, theme: str) -> Path:
    """Save as nbconvert does, but for its own scripts, which it fetches from elsewhere."""
    text, _ = HTMLExporter(theme=theme).from_notebook_node(notebook)
    path = folder / f"{theme}.html"
    path.write_text(re.sub(r"<script\b.*?</script>", "", text, flags=re.S), "utf-8")
    return path


@pytest.fixture(params=["light", "dark"])
def seen(request: pytest.FixtureRequest, notebook: Any, tmp_path: Path, visit: Visitor) -> Visit:
    # The page's theme counts, whatever the system's.
    other = {"light": "dark", "dark": "light"}[request.param]
    return visit(saved(notebook, tmp_path, request.param), scheme=other)


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("line", SHOWN)
def test_each_output_is_small_and_plain_html(outputs: dict[str, Any], line: str) -> None:
    [output] = outputs[line]
    assert output.output_type == "execute_result"
    html = output.data["text/html"]
    assert sum(map(len, output.data.values())) < 1_000_000
    assert "cannot be shown" not in html
    found = Elements(html).found
    assert {tag for tag, _ in found} & {"script", "img", "iframe", "link", "a", "object"} == set()
    assert [tag for tag, _ in found].count("style") == 1
    for tag, attributes in found:
        assert not {"id", "style", "onclick", "onerror"} & set(attributes)
        links = {value for name, value in attributes.items() if name in ("href", "src")}
        assert all(str(link).startswith("data:image/png;base64,") for link in links), tag


def test_what_a_terminal_shows_is_beside_it(outputs: dict[str, Any]) -> None:
    [output] = outputs["net"]
    assert output.data["text/plain"].startswith("Sequential(\n  (0): Conv2d(3, 6, kernel_size")
    [output] = outputs["weigh.open(nn.Linear(3, 2, device='meta')).weight"]
    assert output.data["text/plain"].startswith("Parameter containing:\ntensor(..., device='meta'")
    assert "meta device" in output.data["text/html"]


def test_nothing_is_printed_on_the_side(notebook: Any) -> None:
    assert [o for cell in notebook.cells for o in cell.outputs if o.output_type == "stream"] == []


def test_the_saved_page_is_sound(seen: Visit) -> None:
    page = seen.page
    page.evaluate(OPEN_ALL)
    assert page.locator(".weigh-view").count() == len(SHOWN)
    assert seen.violations(".weigh-view") == []
    assert seen.complaints == []


def test_the_theme_is_that_of_the_page(seen: Visit) -> None:
    dark = "dark" in seen.url.rpartition("/")[2]
    views = seen.page.locator(".weigh-view")
    colours = views.evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")
    assert set(colours) == {"rgb(17, 20, 24)" if dark else "rgb(255, 255, 255)"}
    shown = seen.page.locator(f".weigh-figure .weigh-{'dark' if dark else 'light'}")
    other = seen.page.locator(f".weigh-figure .weigh-{'light' if dark else 'dark'}")
    assert shown.count() == other.count() > 0
    assert all(one.is_visible() for one in shown.all())
    assert not any(one.is_visible() for one in other.all())


def test_styles_stay_inside(seen: Visit) -> None:
    page = seen.page
    outside, inside = page.evaluate(OUTSIDE), page.evaluate(INSIDE)
    assert any(element.startswith("SUMMARY") for element in outside)
    page.evaluate(NO_STYLE)
    assert inside == "1px"
    assert page.evaluate(INSIDE) == "0px"
    assert page.evaluate(OUTSIDE) == outside


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_elsewhere_the_theme_is_the_readers(
    scheme: str, outputs: dict[str, Any], tmp_path: Path, visit: Visitor
) -> None:
    [output] = outputs["net"]
    path = tmp_path / "plain.html"
    path.write_text(f"<!doctype html><html lang=en><title>t</title>{output.data['text/html']}")
    seen = visit(path, scheme=scheme)
    colour = seen.page.locator(".weigh-view").evaluate("e => getComputedStyle(e).backgroundColor")
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 20, 24)"}[scheme]


@pytest.mark.parametrize(
    ("body", "colour"),
    [
        ('class="vscode-dark" data-vscode-theme-kind="vscode-dark"', "rgb(17, 20, 24)"),
        ('class="vscode-light" data-vscode-theme-kind="vscode-light"', "rgb(255, 255, 255)"),
        (
            'class="vscode-high-contrast" data-vscode-theme-kind="vscode-high-contrast"',
            "rgb(17, 20, 24)",
        ),
        (
            'class="vscode-high-contrast vscode-high-contrast-light" '
            'data-vscode-theme-kind="vscode-high-contrast-light"',
            "rgb(255, 255, 255)",
        ),
    ],
)
def test_it_follows_vs_code(
    body: str, colour: str, outputs: dict[str, Any], tmp_path: Path, visit: Visitor
) -> None:
    [output] = outputs["net"]
    path = tmp_path / "code.html"
    path.write_text(
        f"<!doctype html><html lang=en><title>t</title><body {body}>{output.data['text/html']}"
    )
    other = "dark" if colour == "rgb(255, 255, 255)" else "light"
    found = visit(path, scheme=other).page.locator(".weigh-view")
    assert found.evaluate("e => getComputedStyle(e).backgroundColor") == colour
