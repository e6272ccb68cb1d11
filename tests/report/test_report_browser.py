"""Reports in a real browser: what a reader sees, does and hears."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reported import HOSTILE, arrays, changed, saved

import weigh
from browser import Visit, Visitor
from weigh._errors import printable

VIEWS = {
    "overview": "#?",
    "layer": "#conv2",
    "filters": "#conv1.weight",
    "matrix": "#fc1.weight",
    "vector": "#fc1.bias",
    "findings": "#?findings",
    "changes": "#?changes",
    "one side": "#head.weight",
    "unknown": "#absent",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of one network and of two, and the files they are of."""
    made = tmp_path_factory.mktemp("reports")
    one, two = saved(arrays(), made / "a.safetensors"), saved(changed(), made / "b.safetensors")
    weigh.report(one, path=made / "one.html")
    weigh.report(one, two, path=made / "two.html")
    hostile = saved({name: np.ones((2, 3), "f4") for name in HOSTILE}, made / "it's.safetensors")
    weigh.report(hostile, path=made / "hostile.html")
    return made


def heading(seen: Visit, text: str) -> None:
    """Wait until the view of that name is shown."""
    seen.page.locator("main h1", has_text=text).wait_for()


def focused(seen: Visit) -> str:
    """What has the focus: an element's id, or the own name of an item of the tree."""
    return str(seen.page.evaluate(
        "document.activeElement.querySelector?.(':scope > .row > .own')?.textContent"
        " ?? (document.activeElement.id || document.activeElement.tagName)"
    ))  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_every_view_is_accessible(folder: Path, visit: Visitor, scheme: str, width: int) -> None:
    seen = visit(folder / "two.html", scheme=scheme, width=width, reduced_motion="reduce")
    found = {}
    for view, fragment in VIEWS.items():
        seen.page.evaluate("hash => { location.hash = hash; }", fragment)
        heading(seen, {"unknown": "No such name"}.get(view, ""))
        seen.page.wait_for_function(
            "document.querySelector('main').getAttribute('aria-busy') === 'false'"
        )
        found[view] = seen.violations()
        wide = seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{view} is wider than its window: {wide}"
    if width == 320:
        seen.page.click("#side-open")
    seen.page.fill("#search", "conv")
    found["search"] = seen.violations()
    seen.page.keyboard.press("Escape")
    seen.page.click("#help-open")
    found["help"] = seen.violations()
    assert {view: one for view, one in found.items() if one} == {}


def test_a_deep_link_and_the_way_back(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html", "#conv2.weight")
    heading(seen, "conv2.weight")
    assert seen.page.title() == "conv2.weight - a.safetensors - Weigh"
    chosen = seen.page.locator('[role="treeitem"][aria-selected="true"] > .row > .own')
    assert chosen.inner_text() == "weight"
    seen.page.click("main .crumbs a:has-text('conv2')")
    heading(seen, "conv2")
    seen.page.click("text=Findings")
    heading(seen, "Findings")
    seen.page.go_back()
    heading(seen, "conv2")
    seen.page.go_back()
    heading(seen, "conv2.weight")
    seen.page.go_forward()
    heading(seen, "conv2")
    seen.page.evaluate("location.hash = '#fc1.bias'")
    heading(seen, "fc1.bias")


def test_it_says_what_the_library_says(folder: Path, visit: Visitor) -> None:
    network = weigh.open(folder / "a.safetensors")
    seen = visit(folder / "one.html", "#fc1.weight")
    heading(seen, "fc1.weight")
    main = " ".join(seen.page.inner_text("main").split())
    for sentence in weigh.explain(network, "fc1.weight")[0].sentences:
        assert " ".join(sentence.split()) in main
    for sentence in network["fc1.weight"].picture().caption:
        assert sentence in main
    assert f"{network.stats('fc1.weight')['fc1.weight'].std:.6g}" in main
    assert "1 NaN and 1 +Inf" in main
    seen.page.evaluate("location.hash = '#?'")
    heading(seen, "a.safetensors")
    main = seen.page.inner_text("main")
    for words in ("each parameter once", "a tied one under each of its names", "bytes", "tensors"):
        assert words in main
    assert f"{network.counts.parameters:,}" in main


def test_histograms_have_the_bins_of_the_library(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html", "#conv2.weight")
    heading(seen, "conv2.weight")
    seen.page.click("text=As a table")
    network = weigh.open(folder / "a.safetensors")
    for scale in ("linear", "symlog"):
        seen.page.check(f"input[name=scale][value={scale}]", force=True)
        histogram = weigh.histogram(network, "conv2.weight", scale=scale).with_bins(64)
        rows = seen.page.locator(".histogram tbody tr").all_inner_texts()
        cells = [[cell.replace(",", "") for cell in row.split("\t")] for row in rows]
        if histogram.parts[0].below or histogram.parts[0].above:
            cells = cells[1:-1]
        assert [int(row[2]) for row in cells] == list(histogram.parts[0].counts)
        shown = [float(row[0]) for row in cells] + [float(cells[-1][1])]
        assert shown == pytest.approx(list(histogram.edges), rel=1e-3, abs=1e-9)
        assert " ".join(histogram.caption) in seen.page.inner_text(".histogram figcaption")
    seen.page.reload()  # the choice is remembered
    heading(seen, "conv2.weight")
    assert seen.page.is_checked("input[value=symlog]")


def test_a_cell_tells_its_index_and_value(folder: Path, visit: Visitor) -> None:
    network = weigh.open(folder / "a.safetensors")
    for name in ("conv1.weight", "conv2.weight", "fc1.weight", "fc1.bias"):
        seen = visit(folder / "one.html", f"#{name}")
        heading(seen, name)
        picture = network[name].picture()
        rows, columns = picture.sheet.codes.shape
        seen.page.focus(".frame")
        told = 0
        keys = [
            "ArrowRight",
            "ArrowDown",
            "ArrowRight",
            "ArrowRight",
            "ArrowDown",
            "End",
            "ArrowLeft",
            "Home",
        ]
        row = column = 0
        seen.page.keyboard.press("Home")
        for key in keys:
            seen.page.keyboard.press(key)
            step = {
                "ArrowRight": (0, 1),
                "ArrowLeft": (0, -1),
                "ArrowDown": (1, 0),
                "End": (9999, 9999),
                "Home": (-9999, -9999),
            }[key]
            row = min(rows - 1, max(0, row + step[0]))
            column = min(columns - 1, max(0, column + step[1]))
            text = seen.page.inner_text(".readout >> nth=0")
            index = picture.plan.index_of(row, column)
            if index is None:
                assert text == "between cells"
                continue
            told += 1
            place = ", ".join(
                str(one.start) if len(one) == 1 else f"{one.start}:{one.stop}" for one in index
            )
            assert text.startswith(f"[{place}]"), (name, key, text)
            value = float(np.asarray(network[name])[tuple(one.start for one in index)])
            if all(len(one) == 1 for one in index) and text.split("]  ")[1].startswith("about "):
                assert abs(float(text.split("about ")[1]) - value) <= picture.sheet.limit / 230
        assert told > 3


def test_odd_cells_are_named_and_marked(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html", "#fc1.weight")
    heading(seen, "fc1.weight")
    marks = seen.page.inner_text(".marks")
    assert "1 NaN" in marks
    assert "1 +Inf" in marks
    # The sheet has one row a position of the first axis, so this is the cell of the NaN.
    seen.page.focus(".frame")
    for key in ["Home", *["ArrowDown"] * 3, *["ArrowRight"] * 5]:
        seen.page.keyboard.press(key)
    assert seen.page.inner_text(".readout >> nth=0") == "[3, 5]  NaN"


PIXEL = """([x, y]) => {
  const canvas = document.querySelector(".frame canvas");
  const sharp = canvas.width / canvas.clientWidth;
  const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, -Math.floor(x * sharp), -Math.floor(y * sharp));
  return Array.from(copy.getImageData(0, 0, 1, 1).data.slice(0, 3));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_cell_has_the_colour_of_its_code(folder: Path, visit: Visitor, scheme: Any) -> None:
    from weigh._pictures.colours import palette

    sheet = weigh.open(folder / "a.safetensors")["fc1.bias"].picture().sheet
    seen = visit(folder / "one.html", "#fc1.bias", scheme=scheme)
    heading(seen, "fc1.bias")
    box = seen.page.locator(".frame canvas").bounding_box()
    rows, columns = sheet.codes.shape
    zoom = box["width"] / columns
    for column in (0, 7, columns - 1):
        code = sheet.codes[0, column]
        if code < 6:
            continue
        pixel = seen.page.evaluate(PIXEL, [(column + 0.5) * zoom, box["height"] / rows / 2])
        assert pixel == palette(scheme)[code].tolist()


def test_search_finds_goes_and_says_how_many(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html")
    seen.page.keyboard.press("/")
    assert focused(seen) == "search"
    seen.page.keyboard.type("CONV bias")
    assert seen.page.inner_text("#found-count") == "2 names"
    assert seen.page.locator("#results li").all_inner_texts()[0].startswith("conv1.bias")
    seen.page.keyboard.press("ArrowDown")
    active = seen.page.get_attribute("#search", "aria-activedescendant")
    assert seen.page.inner_text(f"#{active}").startswith("conv2.bias")
    seen.page.keyboard.press("Enter")
    heading(seen, "conv2.bias")
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("nothing like it")
    assert seen.page.inner_text("#found-count") == "No name has that in it"
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("Escape")
    assert focused(seen) == "bias"
    assert seen.page.locator("#found").is_hidden()


def test_the_whole_tree_by_keyboard(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html")
    press = seen.page.keyboard.press
    for _ in range(12):
        press("Tab")
        if focused(seen) == "network":
            break
    assert focused(seen) == "network"
    press("ArrowDown")
    assert focused(seen) == "conv1"
    press("ArrowLeft")  # closes it
    assert seen.page.get_attribute(":focus", "aria-expanded") == "false"
    press("ArrowDown")
    assert focused(seen) == "conv2"
    press("ArrowUp")
    press("ArrowRight")
    press("ArrowRight")
    assert focused(seen) == "weight"
    assert seen.page.get_attribute(":focus", "aria-level") == "3"
    press("Enter")
    heading(seen, "conv1.weight")
    assert focused(seen) == "weight"  # one can go on
    press("End")
    assert focused(seen) == "bias"
    press("Home")
    assert focused(seen) == "network"
    seen.page.keyboard.type("fc")
    assert focused(seen) == "fc1"
    press("ArrowLeft")
    press("ArrowLeft")
    assert focused(seen) == "network"
    tabbable = seen.page.locator('#tree [tabindex="0"]')
    assert tabbable.count() == 1
    press("Tab")  # out of the tree, into what is shown
    assert seen.page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_on_a_narrow_screen_the_tree_unfolds(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html", width=360)
    tree = seen.page.locator("#tree")
    assert tree.is_hidden()
    seen.page.keyboard.press("Escape")
    assert focused(seen) == "side-open"
    seen.page.keyboard.press("Enter")
    assert tree.is_visible()
    seen.page.keyboard.press("Tab")
    seen.page.keyboard.press("ArrowDown")
    seen.page.keyboard.press("Enter")
    heading(seen, "conv1")
    assert tree.is_hidden()
    assert focused(seen) == "H1"


def test_keys_are_explained_and_can_be_turned_off(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html")
    seen.page.keyboard.press("?")
    dialog = seen.page.locator("dialog")
    assert dialog.is_visible()
    seen.page.keyboard.press("Escape")
    assert dialog.is_hidden()
    seen.page.click("#help-open")
    seen.page.uncheck("#single")
    seen.page.click("dialog button")
    seen.page.keyboard.press("?")
    assert dialog.is_hidden()
    seen.page.reload()
    seen.page.keyboard.press("/")
    assert focused(seen) != "search"


def test_the_theme_is_toggled_and_remembered(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html", "#conv1.weight", scheme="light")
    heading(seen, "conv1.weight")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert seen.page.evaluate(paper) == "rgb(255, 255, 255)"
    before = seen.page.evaluate(PIXEL, [30, 30])
    seen.page.click("#theme")
    assert seen.page.get_attribute("#theme", "aria-pressed") == "true"
    assert seen.page.evaluate(paper) == "rgb(17, 20, 24)"
    assert seen.page.evaluate(PIXEL, [30, 30]) != before
    seen.page.reload()
    heading(seen, "conv1.weight")
    assert seen.page.evaluate(paper) == "rgb(17, 20, 24)"
    seen.page.click("#theme")
    assert seen.page.evaluate(paper) == "rgb(255, 255, 255)"


def test_without_storage_all_works_but_nothing_is_kept(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html")
    seen.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused'); }})"
    )
    seen.page.reload()
    heading(seen, "a.safetensors")
    seen.page.click("#theme")
    assert seen.page.get_attribute("#theme", "aria-pressed") == "true"


def test_lines_to_copy_run(folder: Path, visit: Visitor) -> None:
    seen = visit(
        folder / "one.html", "#conv1.weight", permissions=["clipboard-read", "clipboard-write"]
    )
    heading(seen, "conv1.weight")
    seen.page.click("[aria-label='Copy the Shell line']")
    seen.page.locator("#said", has_text="Copied").wait_for()
    line = seen.page.evaluate("navigator.clipboard.readText()")
    assert line == f"weigh values {folder / 'a.safetensors'} 'conv1.weight[0]'"
    seen.page.evaluate("delete Navigator.prototype.clipboard")
    seen.page.click("[aria-label='Copy the Python line']")
    seen.page.locator("#said", has_text="Copied").wait_for()


def test_hostile_names_are_names(folder: Path, visit: Visitor, tmp_path: Path) -> None:
    seen = visit(folder / "hostile.html")
    network = weigh.open(folder / "it's.safetensors")
    for name in HOSTILE:
        own = network[name]
        seen.page.fill("#search", name.strip().split("\n")[0][:12])
        seen.page.locator("#results li").first.wait_for()
        seen.page.keyboard.press("Escape")
        seen.page.evaluate("name => { location.hash = '#' + encodeURIComponent(name); }", name)
        seen.page.wait_for_function(
            "name => document.querySelector('main h1').textContent === name", arg=printable(name)
        )
        lines = seen.page.locator(".line code").all()
        python, shell = (line.evaluate("node => node.textContent") for line in lines)
        done = subprocess.run(
            [sys.executable, "-c", f"{python.replace('net[', 'print(net[')}.name)"],
            capture_output=True, encoding="utf-8", check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.stdout == f"{own[0].name}\n", (name, python, done.stderr)
        for program in ("bash", "dash"):
            words = subprocess.run(
                [program, "-c", shell.replace("weigh values", "printf '%s\\0'", 1)],
                capture_output=True, encoding="utf-8", check=True, cwd=tmp_path,
            )  # fmt: skip
            told = [word for word in words.stdout.split("\0")[:-1] if word != "--"]
            assert told == [str(folder / "it's.safetensors"), f"{name}[0]"], (program, shell)
    assert list(tmp_path.iterdir()) == []
    assert seen.page.locator("img").count() == 0
    assert seen.page.evaluate("document.querySelectorAll('script').length") == 4
    text = seen.page.inner_text("body")
    assert "\\u202e" in text
    assert "\u202e" not in text
    assert seen.violations() == []


def test_many_tensors_are_drawn_as_they_are_asked_for(visit: Visitor, tmp_path: Path) -> None:
    state = {f"blocks.{at}.weight": np.full((2, 3), at, "f4") for at in range(1500)}
    weigh.report(state, path=tmp_path / "many.html", config={"select": ["non-finite"]})
    seen = visit(tmp_path / "many.html")
    assert seen.page.locator('[role="treeitem"]').count() < 20
    seen.page.locator("[role=treeitem] .own", has_text="blocks").click()
    heading(seen, "blocks")
    items = seen.page.locator('[role="treeitem"]')
    assert items.count() < 500
    assert seen.page.text_content(".more") == "1,100 more"
    seen.page.click(".more .row")
    assert items.count() > 800
    seen.page.evaluate("location.hash = '#blocks.1499.weight'")
    heading(seen, "blocks.1499.weight")
    assert seen.page.locator('[aria-selected="true"]').is_visible()
    assert "1499" in seen.page.inner_text(".groups")
    seen.page.fill("#search", "blocks")
    assert seen.page.inner_text("#found-count") == "3,001 names, 2,951 more than are listed"
    assert seen.page.locator("#results li").count() == 50


def test_what_changed(folder: Path, visit: Visitor) -> None:
    report = weigh.diff(folder / "a.safetensors", folder / "b.safetensors")
    seen = visit(folder / "two.html", "#?changes")
    heading(seen, "What changed")
    main = seen.page.inner_text("main")
    for one in report.story:
        assert f"{one.text} inferred" in main
    rows = seen.page.locator(".changes tbody tr").all_inner_texts()
    assert len(rows) == sum(change.kind != "unchanged" for change in report)
    most = max(report.of("changed"), key=lambda change: change.difference.relative_change)
    assert rows[0].startswith(most.name)
    seen.page.click(".changes tbody a >> nth=0")
    heading(seen, most.name)
    assert seen.page.locator(".pictures .one").count() == 2
    assert seen.page.locator(".histogram .second-line").count() >= 1
    marks = seen.page.locator("#tree .badge.added, #tree .badge.removed")
    assert marks.count() == 2


def test_what_has_no_numbers_says_why(visit: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "meta.html"
    weigh.report(torch.nn.Linear(4, 5, device="meta"), path=path)
    seen = visit(path, "#weight")
    heading(seen, "weight")
    said = seen.page.inner_text("main .note >> nth=0")
    assert said.startswith("There are no numbers: it is on the meta device")
    assert said.endswith("initialize it.")


def test_without_scripts_the_totals_are_there(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html", java_script_enabled=False)
    text = seen.page.inner_text("body")
    assert "scripts are off here" in text
    assert "each parameter once" in text
    assert "conv2.weight" in text


def test_on_paper_there_is_the_content_alone(folder: Path, visit: Visitor) -> None:
    seen = visit(folder / "one.html", "#fc1.weight")
    heading(seen, "fc1.weight")
    seen.page.emulate_media(media="print")
    assert seen.page.locator(".bar").is_hidden()
    assert seen.page.locator(".side").is_hidden()
    assert seen.page.locator(".frame canvas").is_visible()


def test_paper_is_light_whatever_was_chosen(folder: Path, visit: Visitor) -> None:
    from weigh._pictures.colours import palette

    seen = visit(folder / "one.html", "#fc1.bias", scheme="dark")
    heading(seen, "fc1.bias")
    seen.page.click("#theme")
    seen.page.click("#theme")
    assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark"
    code = weigh.open(folder / "a.safetensors")["fc1.bias"].picture().sheet.codes[0, 0]
    for media, ink, theme in (("print", 27, "light"), ("screen", 230, "dark")):
        seen.page.emulate_media(media=media, color_scheme="dark")
        text = seen.page.evaluate("getComputedStyle(document.body).color")
        assert text.startswith(f"rgb({ink}, ")
        want = palette(theme)[code].tolist()
        drawn = f"want => String(({PIXEL})([3, 3])) === String(want)"
        seen.page.wait_for_function(drawn, arg=want)
