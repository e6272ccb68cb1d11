"""How long a page takes to open in a browser: ``python -m benchmarks.opened RUNS PAGE...``.

It prints JSON: for each page the seconds from asking for it to what it shows being there, in turn.
"""

from __future__ import annotations

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

SHOWN = """() => {
  if (document.querySelector('#tree [role="treeitem"], image')) return true;
  const boxes = [...document.querySelectorAll('treescope-container')];
  return boxes.some((box) => !!box.shadowRoot?.querySelector('canvas, .foldable_node'));
}"""
"""Whether a page shows its tree or its picture: Weigh's, or treescope's."""

DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Waits until that was drawn."""


def browser() -> str | None:
    """Say where Chromium is, if Playwright can drive it."""
    return find_spec("playwright") and shutil.which("chromium")


def main(runs: int, pages: list[Path]) -> None:
    from playwright.sync_api import sync_playwright

    found: list[list[float]] = [[] for _ in pages]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=list(OPTIONS))
        for run in range(runs + 1):
            for page, figures in zip(pages, found, strict=True):
                tab = chromium.new_page()
                start = perf_counter()
                tab.goto(page.resolve().as_uri(), wait_until="commit")
                tab.wait_for_function(SHOWN, timeout=120_000)
                tab.evaluate(DRAWN)
                if run:  # the first run is not counted
                    figures.append(perf_counter() - start)
                tab.close()
        chromium.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), [Path(page) for page in sys.argv[2:]])
