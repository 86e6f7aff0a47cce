"""The settings of an application: the lab writes them into the environment, the application reads them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

VARIABLE = "IPCLAB_TASKS_APP"


@dataclass(frozen=True, slots=True)
class AppSettings:
    """The server, the name of the queue, and the options of the backend. ``url`` may contain a password."""

    url: str
    queue: str
    options: dict[str, str | int]

    def text(self) -> str:
        """Return the value of the environment variable."""
        return json.dumps(asdict(self))


def read() -> AppSettings:
    """Return the settings of this process. Raise KeyError in a process that the lab did not start."""
    return AppSettings(**json.loads(os.environ[VARIABLE]))
