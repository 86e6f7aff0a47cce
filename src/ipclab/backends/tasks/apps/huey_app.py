"""A huey instance with the task ``effect``; everything that no option names is huey's default."""

from __future__ import annotations

from typing import Any

from huey import RedisHuey

from ipclab.backends.tasks.apps.settings import read
from ipclab.tasks import effect

_settings = read()
huey = RedisHuey(_settings.queue, url=_settings.url)
task: Any = huey.task(name="effect", **({"retries": 3} if _settings.options["retry"] == "yes" else {}))(
    effect
)
