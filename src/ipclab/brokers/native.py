"""Private servers on this machine: each with its own port, data folder and name, on loopback only.

They share nothing with other servers or users: the port is free, each has a random password (a memcached
older than 1.5.15 has none and is identified by its pid), and RabbitMQ has an Erlang name registry of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ipclab.backends.base import BrokerKind
from ipclab.brokers import commands, kinds, probe, processes, state
from ipclab.brokers.base import EXECUTE_WITHIN_S, SHUT_DOWN_WITHIN_S, Broker, Usage
from ipclab.brokers.processes import ProcessId
from ipclab.brokers.state import NativeRecord
from ipclab.errors import BrokerUnavailableError, IpclabError
from ipclab.host.interruptions import ending_blocked

START_WITHIN_S = 90.0
_POLL_S = 0.03
_PROBE_S = 2.0
_ATTEMPTS = 3
_LOG = "server.log"


class NativeBroker(Broker):
    """A private server, identified by its folder in the state folder."""

    provider = "native"
    any_process_reads_usage = True

    def __init__(self, folder: Path, record: NativeRecord) -> None:
        where = f"pid {record.processes[-1].pid}"
        super().__init__(
            record.kind, record.url, record.version, ours=True, where=where, started_at_s=record.started_at_s
        )
        self._folder = folder
        self._record = record

    @property
    def outlives_run(self) -> bool:
        return self._record.owner is None

    @property
    def lease_name(self) -> str:
        return self._folder.name

    def usage(self) -> Usage | None:
        return processes.usage(self._record.processes[-1:])

    def alive(self) -> bool:
        return state.is_running(self._record)

    def pause(self) -> None:
        processes.send(self._record.processes[-1:], signal.SIGSTOP)

    def resume(self) -> None:
        processes.send(self._record.processes[-1:], signal.SIGCONT)

    def kill(self) -> None:
        processes.end(self._record.processes[-1:])

    def shut_down(self) -> None:
        number = kinds.get(self._record.kind).stop_signal
        processes.terminate(self._record.processes[-1:], SHUT_DOWN_WITHIN_S, number)

    def restart(self) -> None:
        self.kill()
        again = msgspec.structs.replace(self._record, started_at_s=time.time())
        ours_alone = self._record.owner == processes.this_process()
        started = _launch(self._folder, again, only_missing=True, dies_with_us=ours_alone)
        self._record = started
        self.version = _wait_until_ready(self._folder, started)
        self.where = f"pid {started.processes[-1].pid}"
        self.started_at_s = started.started_at_s

    def execute(self, *command: str, timeout_s: float = EXECUTE_WITHIN_S) -> str:
        server = self._record.launches[-1]
        # RabbitMQ's tools are beside its server, and possibly in no other folder.
        path = os.pathsep.join([str(Path(server.argv[0]).parent), server.env["PATH"]])
        done = commands.run(
            command, timeout_s=timeout_s, env=server.env | {"PATH": path}, folder=self._folder
        )
        if done.returncode != 0:
            reason = commands.last_line(done.stderr or done.stdout)
            raise IpclabError(f"{command[0]} failed for {kinds.get(self.kind).title}: {reason}")
        return done.stdout

    def stop(self) -> None:
        state.end(self._folder, self._record)


@dataclass(slots=True)
class _Starting:
    kind: BrokerKind
    program: str
    folder: Path
    record: NativeRecord
    lasting: bool


def start(
    wanted: Iterable[BrokerKind],
    *,
    owner: ProcessId | None,
    on_event: Callable[[str], None],
    on_record: Callable[[Path], None] = lambda _: None,
) -> tuple[dict[BrokerKind, NativeBroker], dict[BrokerKind, str]]:
    """Start these servers in parallel; return those that answer, and the others' reasons.

    ``owner`` is the lab process with which they end, None to let them run until ``ipclab down``.
    ``on_record`` gets the folder of each record as soon as it exists, before anything is started.
    Whatever is raised, KeyboardInterrupt included, nothing that was started is left running.
    """
    ready: dict[BrokerKind, NativeBroker] = {}
    failed: dict[BrokerKind, str] = {}
    starting: list[_Starting] = []
    try:
        for kind in wanted:
            of = kinds.get(kind)
            program = of.find_program()
            if program is None:
                failed[kind] = f"{of.program} is not installed"
                continue
            on_event(f"starting a private {of.title} ({program})")
            try:
                with ending_blocked():
                    starting.append(_begin(kind, program, owner, on_record))
            except BrokerUnavailableError as error:
                failed[kind] = str(error)
        for server in starting:
            try:
                ready[server.kind] = _finish(server, owner)
            except BrokerUnavailableError as error:
                failed[server.kind] = str(error)
    except BaseException:
        with ending_blocked():
            _end_all_of(server.folder for server in starting)
        raise
    return ready, failed


def running() -> dict[BrokerKind, NativeBroker]:
    """Return the servers that ``ipclab up`` started and that answer."""
    found: dict[BrokerKind, NativeBroker] = {}
    for folder, record in state.records():
        if isinstance(record, NativeRecord) and record.owner is None and state.is_running(record):
            with contextlib.suppress(BrokerUnavailableError):
                probe.version(record.kind, record.url)
                found[record.kind] = NativeBroker(folder, record)
    return found


def _begin(
    kind: BrokerKind, program: str, owner: ProcessId | None, on_record: Callable[[Path], None]
) -> _Starting:
    empty = NativeRecord(kind, url="", owner=owner or processes.this_process(), started_at_s=time.time())
    folder = state.create(kind, empty)
    on_record(folder)
    try:
        server = _Starting(kind, program, folder, empty, lasting=owner is None)
        _try_a_port(server)
    except BaseException:
        _end_all_of([folder])
        raise
    return server


def _try_a_port(server: _Starting) -> None:
    plan = kinds.get(server.kind).plan(server.program, server.folder)
    planned = NativeRecord(
        server.kind, plan.url, server.record.owner, started_at_s=time.time(), launches=plan.launches
    )
    server.record = _launch(server.folder, planned, dies_with_us=not server.lasting)


def _finish(server: _Starting, owner: ProcessId | None) -> NativeBroker:
    """Wait for the server; choose another port where another program took ours before its use."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            version = _wait_until_ready(server.folder, server.record)
            break
        except BrokerUnavailableError:
            taken = _port_was_taken(server.folder)
            if attempt == _ATTEMPTS or not taken:
                state.end(server.folder, server.record)
                raise
            processes.end(server.record.processes, server.folder)
            (server.folder / _LOG).unlink(missing_ok=True)
            _try_a_port(server)
    record = msgspec.structs.replace(server.record, owner=owner, version=version)
    state.write(server.folder, record)
    return NativeBroker(server.folder, record)


def _launch(
    folder: Path, record: NativeRecord, *, dies_with_us: bool, only_missing: bool = False
) -> NativeRecord:
    """Start the processes of a record in their order and note each at once."""
    before: Sequence[ProcessId] = record.processes
    started: list[ProcessId] = []
    for index, launch in enumerate(record.launches):
        # An end between the start and the record would leave a process that no record has.
        with ending_blocked():
            if only_missing and index < len(before) and processes.is_alive(before[index]):
                started.append(before[index])
            else:
                started.append(
                    processes.spawn(
                        launch.argv,
                        folder=folder,
                        log=folder / _LOG,
                        env=launch.env,
                        dies_with_caller=dies_with_us,
                    )
                )
            record = msgspec.structs.replace(record, processes=tuple(started))
            state.write(folder, record)
    return record


def _wait_until_ready(folder: Path, record: NativeRecord) -> str:
    """Return the version, once the server answers its client.

    Raise BrokerUnavailableError where it never does.
    """
    of = kinds.get(record.kind)
    deadline = time.monotonic() + START_WITHIN_S
    last: BrokerUnavailableError | None = None
    while time.monotonic() < deadline:
        if not all(processes.is_alive(process) for process in record.processes):
            raise BrokerUnavailableError(f"{of.title} ended while it started: {_tail(folder)}")
        if probe.port_open(record.url):
            try:
                version = probe.version(record.kind, record.url, timeout_s=_PROBE_S)
                of.confirm_identity(record.url, record.processes[-1].pid)
                return version
            except BrokerUnavailableError as error:
                last = error
        time.sleep(_POLL_S)
    raise BrokerUnavailableError(
        f"{of.title} did not become ready within {START_WITHIN_S:g} s: {last or _tail(folder)}"
    )


def _port_was_taken(folder: Path) -> bool:
    log = _read_log(folder).lower()
    return any(sign in log for sign in ("eaddrinuse", "address already in use", "in use"))


def _tail(folder: Path) -> str:
    """Return the end of a server's log as one line: its last errors, or else its last lines."""
    lines = [" ".join(line.split()) for line in _read_log(folder).splitlines() if line.strip()]
    complaints = [line for line in lines if "error" in line.lower() or "fail" in line.lower()]
    return " | ".join((complaints or lines)[-2:])[-300:] or "its log is empty"


def _read_log(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return (folder / _LOG).read_text(encoding="utf-8", errors="replace")
    return ""


def _end_all_of(folders: Iterable[Path]) -> None:
    for folder in folders:
        state.end_folder(folder)
