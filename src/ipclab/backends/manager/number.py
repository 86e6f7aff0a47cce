"""What the counter, the register and the lock of a Manager have in common: a number, and a lock beside it."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.managers import DictProxy
from typing import Literal

from ipclab.backends.base import Site
from ipclab.backends.manager.channels import ManagerServer

KEY = "n"


class ManagedNumber(ManagerServer):
    """Mixed into a shared state: a ``Manager().dict()`` with 0 under ``KEY``, and a ``Manager().Lock()``."""

    site: Site
    _dict: DictProxy[str, int]
    _lock: threading.Lock
    """In truth a proxy of one, which is what ``SyncManager.Lock()`` declares."""

    @property
    def reach(self) -> Literal["process tree"]:
        return "process tree"

    def setup(self) -> None:
        """Start the server, with both in it."""
        manager = self.start_manager(self.site)
        self._dict = manager.dict({KEY: 0})
        self._lock = manager.Lock()

    def guard(self, locked: bool) -> AbstractContextManager[object]:
        """Return what a client works under: the lock, or nothing."""
        return self._lock if locked else nullcontext()
