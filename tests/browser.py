"""A real browser for the tests of pages: Chromium, without a window, and what a page did in it.

A test asks for ``visit`` and gives it a file. Whatever the page complains of or asks the network
for fails the test when it ends; ``Visit.violations`` holds it against WCAG, by axe-core.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""As ``tests/browser.sh`` has them, which installs the first."""

FLAGS = (
    "--no-sandbox",  # as root in a container there is none to be had
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


def found() -> str:
    """The browser's program: ``$CHROMIUM``, or the first of ``NAMES`` that is there."""
    for name in (os.environ.get("CHROMIUM", ""), *NAMES):
        path = shutil.which(name) if name else None
        if path is not None:
            return path
    pytest.fail(
        f"These tests open pages in a browser, and none of {', '.join(NAMES)} is here. "
        "Run tests/browser.sh, which installs Debian's chromium, or say where one is: CHROMIUM=...",
        pytrace=False,
    )


@dataclass
class Visit:
    """A page that was opened, and all that it did which a page must not do."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Listen for errors and warnings, and for requests of anything but the page itself."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        url = request.url.partition("#")[0]
        if url != self.url and not url.startswith(("data:", "blob:")):
            self.complaints.append(f"request: {url}")

    def violations(self, within: str | None = None) -> list[str]:
        """What axe-core finds against WCAG 2.2, levels A and AA, in the page as it is now.

        ``within`` is a selector: what is outside such elements is not looked at.
        """
        from axe_playwright_python.sync_playwright import Axe

        options = {"runOnly": {"type": "tag", "values": list(WCAG)}}
        found = Axe().run(self.page, context=within, options=options).response
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]


Visitor = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once for all tests of a worker."""
    from playwright.sync_api import sync_playwright

    program = found()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visitor]:
    """Give what opens a file: ``visit(path, "#fragment", scheme="dark", width=360)``.

    Keywords besides ``width`` and ``height`` go to Playwright's ``new_context``. Visits with one
    ``context`` share what the browser remembers.
    """
    visits: list[Visit] = []
    contexts: list[BrowserContext] = []

    def open_page(
        path: Path,
        fragment: str = "",
        *,
        scheme: str = "light",
        width: int = 1280,
        height: int = 900,
        context: BrowserContext | None = None,
        **options: Any,
    ) -> Visit:
        if context is None:
            size = {"width": width, "height": height}
            context = browser.new_context(color_scheme=scheme, viewport=size, **options)
            contexts.append(context)
        one = Visit(context.new_page(), path.resolve().as_uri())
        one.watch()
        visits.append(one)
        one.page.goto(one.url + fragment)
        return one

    yield open_page
    complaints = [complaint for one in visits for complaint in one.complaints]
    for context in contexts:
        context.close()
    assert complaints == []
