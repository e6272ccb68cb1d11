"""The browser that tests open pages in sees what a page must not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser import Visitor

PAGE = (
    "<!doctype html><html lang='en'><title>a page</title>{head}"
    "<main><h1>Here</h1>{body}</main></html>"
)


@pytest.fixture
def page(tmp_path: Path):
    def write(head: str = "", body: str = "") -> Path:
        path = tmp_path / "page.html"
        path.write_text(PAGE.format(head=head, body=body), "utf-8")
        return path

    return write


def test_a_sound_page_has_no_complaint(page, visit: Visitor) -> None:
    seen = visit(page(), "#there")
    assert seen.page.inner_text("h1") == "Here"
    assert seen.violations() == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.warn('careful')</script>", "warning: careful"),
        ("<script>nothing.there</script>", "nothing is not defined"),
        ("<img src='https://example.invalid/a.png' alt=''>", "request: https://example.invalid"),
    ],
)
def test_it_sees_what_a_page_must_not_do(page, visit: Visitor, body: str, complaint: str) -> None:
    seen = visit(page(body=body))
    assert any(complaint in one for one in seen.complaints), seen.complaints
    seen.complaints.clear()


def test_it_sees_what_a_policy_refused(page, visit: Visitor) -> None:
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    seen = visit(page(policy, "<script>1</script>"))
    assert any("Content Security Policy" in one for one in seen.complaints)
    seen.complaints.clear()
    assert seen.violations() == []  # axe runs all the same


def test_it_sees_what_some_cannot_see(page, visit: Visitor) -> None:
    seen = visit(page(body="<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"))
    assert any(one.startswith("image-alt") for one in seen.violations())
