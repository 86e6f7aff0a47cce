"""procrastinate on PostgreSQL. Its worker runs the task in a thread, so the worker is its own executor."""

from __future__ import annotations

from collections.abc import Collection

from ipclab.backends.base import Guarantees, Option, Producer
from ipclab.backends.postgres.connection import connect, statement
from ipclab.backends.tasks.base import NEVER_S, FrameworkQueue, Launch, Submitter
from ipclab.backends.tasks.redis import declared

_APP = "ipclab.backends.tasks.apps.procrastinate_app"


class ProcrastinateQueue(FrameworkQueue):
    """procrastinate on PostgreSQL."""

    name = "procrastinate"
    summary = "procrastinate, PostgreSQL"
    broker = "postgres"
    libraries = ("procrastinate", "psycopg")
    readable = True
    options = (
        Option(
            "stalled", "left", "whether a task of the application retries stalled jobs", ("left", "retried")
        ),
    )

    @property
    def guarantees(self) -> Guarantees:
        """Return that jobs are rows of a table: nothing is lost, but a job of a dead worker stays begun."""
        return declared("at-least-once", disk=True)

    @property
    def redelivers_after_s(self) -> float:
        """Return when a stalled job is retried, if at all."""
        return 6.0 if self.chosen["stalled"] == "retried" else NEVER_S

    def setup(self) -> None:
        """Create the schema of this trial, with procrastinate's tables."""
        self.enter()
        with connect(self.site.broker_url) as connection:
            connection.execute(statement("CREATE SCHEMA {schema}", schema=self.queue_name))
        from procrastinate import App, SyncPsycopgConnector

        options = f'-c search_path="{self.queue_name}"'
        connector = SyncPsycopgConnector(conninfo=self.site.broker_url, kwargs={"options": options})
        with App(connector=connector).open() as app:
            app.schema_manager.apply_schema()

    def teardown(self) -> None:
        """Drop the schema of this trial."""
        with connect(self.site.broker_url) as connection:
            connection.execute(statement("DROP SCHEMA IF EXISTS {schema} CASCADE", schema=self.queue_name))

    def submitter(self, index: int) -> Producer:
        """Import the application and connect."""
        self.enter()
        from ipclab.backends.tasks.apps.procrastinate_app import app, task

        app.open()
        return Submitter(lambda body: task.defer(body=body), app.close)

    def worker(self, index: int) -> Launch:
        """Return ``procrastinate worker``, which runs one task at a time."""
        return self.launch("procrastinate", "-a", f"{_APP}.app", "worker", "-q", self.queue_name, "-c", "1")

    def held(self, bodies: Collection[str]) -> set[str]:
        """Return those of these tasks whose rows are neither done nor failed."""
        wanted = statement(
            "SELECT args->>'body' FROM {schema}.procrastinate_jobs WHERE status IN ('todo', 'doing')",
            schema=self.queue_name,
        )
        with connect(self.site.broker_url) as connection:
            return {row[0] for row in connection.execute(wanted)} & set(bodies)
