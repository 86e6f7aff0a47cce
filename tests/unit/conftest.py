"""One profile for all property tests: a slow machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("ipclab", deadline=None, max_examples=50)
settings.load_profile("ipclab")
