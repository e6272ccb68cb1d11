"""Makes the pictures of the documentation from the tour's network: ``make pictures``.

Each is what a reader gets by the commands beside it; a test makes them again and compares.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import weigh

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "docs/pictures"
sys.path.insert(0, str(ROOT / "tests"))  # which know how to find a browser


def conv2(tour: Path) -> weigh.Picture:
    """The filters of the second layer, each with its six slices."""
    return weigh.picture(tour / "trained.safetensors", "conv2.weight")


def conv1_initial(tour: Path) -> weigh.Picture:
    """The filters of the first layer, before training."""
    return weigh.picture(tour / "initial.safetensors", "conv1.weight")


def fc1(tour: Path) -> weigh.Histogram:
    """A layer before and after training."""
    return weigh.histogram(
        tour / "initial.safetensors", "fc1.weight", beside=tour / "trained.safetensors"
    )


def layers(tour: Path) -> weigh.Ridge:
    """All weights, one below the other."""
    return weigh.ridge(tour / "trained.safetensors", "*.weight")


Drawn = weigh.Picture | weigh.Histogram | weigh.Ridge
DRAWN: dict[str, Callable[[Path], Drawn]] = {
    "conv1-initial.png": conv1_initial,
    "conv2.png": conv2,
    "fc1.png": fc1,
    "layers.png": layers,
}


REPORTS = {"report.png": ("#conv1.weight", "light"), "report-dark.png": ("#fc1.weight", "dark")}
NOTEBOOK = ("net", "net.conv1.weight")


def screenshots(tour: Path, out: Path) -> None:
    """The page of ``weigh report``, and a notebook, in a browser."""
    from playwright.sync_api import sync_playwright

    from browser import FLAGS, found

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as made:
        chromium = playwright.chromium.launch(executable_path=found(), args=list(FLAGS))
        page = Path(made) / "report.html"
        weigh.report(tour / "initial.safetensors", tour / "trained.safetensors", path=page)
        for name, (place, scheme) in REPORTS.items():
            shoot(chromium, f"{page.as_uri()}{place}", out / name, 1280, 860, scheme)
        saved = Path(made) / "notebook.html"
        saved.write_text(notebook(tour), "utf-8")
        shoot(chromium, saved.as_uri(), out / "notebook.png", 900, 1100, "light")
        chromium.close()


def shoot(chromium: Any, url: str, path: Path, width: int, height: int, scheme: str) -> None:
    """Open a page and take its picture."""
    viewport = {"width": width, "height": height}
    tab = chromium.new_page(viewport=viewport, color_scheme=scheme)
    tab.goto(url)
    tab.wait_for_load_state("networkidle")
    tab.wait_for_timeout(500)  # details are unpacked
    tab.screenshot(path=path)
    tab.close()


def notebook(tour: Path) -> str:
    """Run a notebook, and give it as HTML without the scripts that its template fetches."""
    import re

    import nbformat
    from nbconvert import HTMLExporter

    made = nbformat.v4.new_notebook()
    opening = "import weigh\nnet = weigh.open('weigh-tour/trained.pt')"
    made.cells = [nbformat.v4.new_code_cell(line) for line in (opening, *NOTEBOOK)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "weigh-tour").symlink_to(tour.resolve())
        path = Path(folder) / "notebook.ipynb"
        nbformat.write(made, path)
        command = [sys.executable, "-m", "jupyter", "execute", "--inplace", path.name]
        subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
        text, _ = HTMLExporter().from_filename(str(path))
    return re.sub(r"<script\b.*?</script>", "", text, flags=re.S)


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tour", type=Path, help="what `weigh tour` left; taken anew if left out")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        tour = options.tour
        if tour is None:
            tour = Path(made) / "weigh-tour"
            command = [sys.executable, "-m", "weigh", "tour", "--out", str(tour)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for name, draw in DRAWN.items():
            draw(tour).save(options.out / name)
        screenshots(tour, options.out)


if __name__ == "__main__":
    main()
