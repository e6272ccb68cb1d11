"""What all tests share: pytest puts the folder of this file on the path, for ``models``."""

from __future__ import annotations

import pytest
from hypothesis import settings

from browser import browser, visit  # noqa: F401 - fixtures

# A machine that other work shares may be slow at any moment.
settings.register_profile("weigh", deadline=None)
settings.load_profile("weigh")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name a case of bytes by its argument, not by its bytes.

    Two workers must collect the same names, and bytes may hold the second they were made in, as
    gzip's do.
    """
    return argname if isinstance(val, bytes) else None


LONGEST = ("test_benchmarks.py", "test_package.py", "test_report_browser.py", "test_docs.py")
"""Files that take a worker a minute or more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, or one worker would do it at the end while the other waits."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONGEST)))
