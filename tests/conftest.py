"""What all tests share: pytest puts the folder of this file on the path, for ``models``."""

from __future__ import annotations

from hypothesis import settings

# A machine that other work shares may be slow at any moment.
settings.register_profile("weigh", deadline=None)
settings.load_profile("weigh")
