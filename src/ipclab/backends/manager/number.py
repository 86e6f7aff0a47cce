"""The common part of a Manager's counter, register and lock: a number, and a lock beside it."""

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
    """In fact a proxy of a lock; ``SyncManager.Lock()`` declares this type."""

    @property
    def reach(self) -> Literal["process tree"]:
        return "process tree"

    def setup(self) -> None:
        """Start the server with the dict and the lock in it."""
        manager = self.start_manager(self.site)
        self._dict = manager.dict({KEY: 0})
        self._lock = manager.Lock()

    def guard(self, locked: bool) -> AbstractContextManager[object]:
        """Return the lock under which a client works, or a context that does nothing."""
        return self._lock if locked else nullcontext()
