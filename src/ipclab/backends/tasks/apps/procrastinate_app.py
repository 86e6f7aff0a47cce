"""A procrastinate application with the task ``effect``. Its tables are in a schema of the trial's own."""

from __future__ import annotations

from typing import Any

import procrastinate

from ipclab.backends.tasks.apps.settings import AppSettings, read
from ipclab.tasks import effect

_HEARTBEAT_S, _STALLED_AFTER_S = 1, 3
"""Those of a worker whose stalled jobs are retried; procrastinate's defaults are 10 and 30 s."""


def _application(settings: AppSettings) -> Any:
    connector = procrastinate.PsycopgConnector(
        conninfo=settings.url, kwargs={"options": f'-c search_path="{settings.queue}"'}
    )
    if settings.options["stalled"] == "left":
        return procrastinate.App(connector=connector)
    timing = {"update_heartbeat_interval": _HEARTBEAT_S, "stalled_worker_timeout": _STALLED_AFTER_S}
    made: Any = procrastinate.App(connector=connector, worker_defaults=timing)

    async def retry_stalled(timestamp: int) -> None:
        for job in await made.job_manager.get_stalled_jobs(seconds_since_heartbeat=_STALLED_AFTER_S):
            await made.job_manager.retry_job(job)

    task = made.task(retry_stalled, name="retry_stalled", queue=settings.queue, queueing_lock="retry_stalled")
    made.periodic(cron="* * * * * */2")(task)
    return made


app = _application(read())
task = app.task(effect, name="effect", queue=read().queue)
