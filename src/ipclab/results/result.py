"""The result of one run of an experiment: the records of its trials and what is needed to judge them."""

from __future__ import annotations

import msgspec

from ipclab.host.clock import ClockTest
from ipclab.trial.record import BrokerFacts, TrialRecord

SCHEMA_VERSION = 2


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine and the software of a run, in general terms: no host name, no user, no path.

    ``load_1min`` is the load average at the start: what else was running. ``cpu_limit`` is how many cores'
    worth of CPU time the control group of the lab allows, such as 0.5; None for no limit below ``cores``.
    """

    ipclab: str
    python: str
    implementation: str
    system: str
    processor: str
    cores: int
    memory_bytes: int
    load_1min: float
    start_method: str
    libraries: dict[str, str]
    clock: ClockTest
    cpu_limit: float | None = None


class Unavailable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A backend that was asked for and could not be measured, with the reason."""

    backend: str
    reason: str


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``ipclab_result`` is the version of the schema. Version 1 is read and converted to this one; a reader
    refuses any other.

    ``complete`` is False while trials are still to come, and stays so when the run was interrupted.
    ``options`` are the options of the experiment on the command line, as text.
    """

    ipclab_result: int
    experiment: str
    question: str
    began_utc: str
    ended_utc: str
    complete: bool
    options: dict[str, str]
    environment: Environment
    brokers: list[BrokerFacts]
    unavailable: list[Unavailable]
    trials: list[TrialRecord]
