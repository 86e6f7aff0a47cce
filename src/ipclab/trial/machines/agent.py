"""The agent: runs the workers of a trial on its machine, by a local crew. It has one thread, so it may fork.

``python -m ipclab.trial.machines.agent``: frames of ``words`` come on its standard input and go on its
standard output. It ends when its input ends, and with it every worker and every file.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import urlsplit

from ipclab.backends.base import Site
from ipclab.host.clock import now_ns
from ipclab.host.folders import own_temporary_files, trial_folder
from ipclab.host.resources import cpu_s, machine_cpu_s, queued_s
from ipclab.host.surroundings import adopt_orphans, end_descendants
from ipclab.host.text import line_of
from ipclab.hosts.echo import Answerer, take_echoes
from ipclab.hosts.frames import Reader, framed
from ipclab.trial import workloads
from ipclab.trial.assignment import Assignment, content, tails
from ipclab.trial.check import check
from ipclab.trial.machines import words
from ipclab.trial.machines.logs import Mirrors, Watches, records
from ipclab.trial.machines.pings import Pings
from ipclab.trial.message import Originals, trial_mark
from ipclab.trial.orders import Go, Quit, Stop
from ipclab.trial.processes import Crew, Worker

TICK_S = 0.01
"""How often the progress is told to the other machines."""
_READ_BYTES = 2**17


class Agent:
    """One trial on one machine."""

    def __init__(self, source: int, sink: int, folder: Path) -> None:
        self._source = source
        self._sink = sink
        self._folder = folder
        self._reader = Reader()
        self._crew: Crew | None = None
        self._assignments: dict[str, Assignment[Any]] = {}
        self._originals: Originals | None = None
        self._mine: frozenset[str] = frozenset()
        self._watches: Watches | None = None
        self._mirrors = Mirrors(folder)
        self._answerer: Answerer | None = None
        self._pings: Pings | None = None
        self._token = b""
        self._reports: dict[str, int] = {}
        self._connected: set[str] = set()
        self._ends: dict[str, tuple[str, bool]] = {}
        """What was told of the end of each worker: its failure, and whether its process is gone."""
        self._samples_ns: list[int] = []
        self._mirrored_ns = self._mirror_age_ns = 0
        self._told_ns = self._told_age_ns = 0
        self._end_ns = 0

    def run(self) -> None:
        """Serve until the input ends."""
        while self._serve_once():
            pass

    def close(self) -> None:
        """End every worker."""
        if self._crew is not None:
            self._crew.end()
        if self._watches is not None:
            self._watches.close()
        self._mirrors.close()
        for echo in (self._answerer, self._pings):
            if echo is not None:
                echo.close()

    def _serve_once(self) -> bool:
        handles: list[Any] = [self._source]
        if self._answerer is not None:
            handles.append(self._answerer)
        if self._pings is not None:
            handles += self._pings.askers
        if self._crew is not None:
            handles += [handle for w in self._crew.workers if not w.ended for handle in w.child.handles()]
        ready: list[Any] = list(wait(handles, self._pause_s()))
        if self._answerer is not None and self._answerer in ready:
            self._answerer.answer()
        if self._pings is not None:
            self._pings.step()
        if self._source in ready and not self._hear():
            return False
        if self._crew is not None:
            self._report(self._crew)
        if self._samples_ns and now_ns() >= self._samples_ns[0] - _NEARLY_NS:
            self._sample(self._samples_ns.pop(0))
        if self._watches is not None and now_ns() - self._told_ns >= TICK_S * 1e9:
            self._tell_progress(self._watches)
        return True

    def _tell_progress(self, watches: Watches) -> None:
        """Tell the progress; within the trial also where nothing moved, so that its age is known."""
        counts, at_ns = watches.moved(), now_ns()
        within = at_ns < self._end_ns
        if counts or within:
            self._tell(words.Moved(counts))
        if within and self._told_ns:
            self._told_age_ns = max(self._told_age_ns, at_ns - self._told_ns)
        self._told_ns = at_ns

    def _pause_s(self) -> float | None:
        if self._watches is None:
            return None
        if self._samples_ns:
            return min(TICK_S, max((self._samples_ns[0] - _NEARLY_NS - now_ns()) / 1e9, 0.0))
        return TICK_S

    def _hear(self) -> bool:
        data = os.read(self._source, _READ_BYTES)
        for message in self._reader.feed(data):
            self._take(words.decode_to_agent(message))
        return bool(data)

    def _take(self, order: words.ToAgent) -> None:
        match order:
            case words.Survey(token, servers):
                self._survey(token, servers)
            case words.Assign():
                self._assign(order)
            case words.Employ(names):
                self._employ(names)
            case words.Start():
                self._start(order)
            case words.Instruct(name, stop):
                self._worker(name).tell(Stop(stop) if stop else Quit())
            case words.Mirror(counts):
                self._mirror(counts)
            case words.Fetch(have):
                self._ship(have)
            case words.Echo(of, count):
                taken = {n: take_echoes(at, self._token, count) for n, at in of.items()}
                self._tell(words.Echoed(taken, self._pings.found if self._pings is not None else {}))
            case words.Ping():
                self._tell(words.Pong(now_ns()))
            case words.Look(names):
                assert self._crew is not None
                self._tell(words.Seen(self._crew.stacks([self._worker(name) for name in names])))
            case _:
                assert_never(order)

    def _survey(self, token: bytes, servers: Mapping[str, tuple[str, int]]) -> None:
        refused = {name: why for name, at in servers.items() if (why := unreachable(at))}
        at = next(iter(servers.values()), ("", 0))
        host = own_address(f"//{at[0]}:{at[1]}" if at[0] else None)
        self._token = token
        self._answerer = Answerer(token, host)
        self._tell(words.Surveyed(host, self._answerer.port, refused))

    def _assign(self, order: words.Assign) -> None:
        spec = order.spec
        check(spec)
        site = Site(
            namespace=order.namespace,
            producers=spec.producers,
            consumers=spec.consumers,
            window=spec.window,
            start_method=spec.start_method,
            url=order.url,
        )
        measure = workloads.of(spec).measure
        assert measure is not None
        self._assignments = {one.name: one for one in measure(spec, site, self._folder).assignments()}
        made_from = content(spec, site.namespace)
        self._originals = Originals(tails(spec, made_from), trial_mark(made_from))
        self._crew = Crew(spec.start_method)
        self._token = order.token
        host = own_address(order.url)
        self._answerer = Answerer(order.token, host)
        self._tell(words.Assigned(host, self._answerer.port))

    def _employ(self, names: Sequence[str]) -> None:
        assert self._crew is not None
        self._mine = frozenset(names)
        for name in names:
            self._crew.start(self._assignments[name])
        self._watches = Watches(self._folder, self._mine)

    def _start(self, order: words.Start) -> None:
        assert self._crew is not None
        if (late_ns := now_ns() - order.start_ns) > 0:
            self._tell(words.Refused(f"the starting signal came {late_ns / 1e6:.1f} ms late"))
            return
        for member in self._crew.workers:
            member.tell(Go(order.start_ns, order.end_ns))
        if order.ping:
            self._pings = Pings(order.ping, self._token, order.start_ns, order.end_ns)
        self._samples_ns = list(order.sample_ns)
        self._mirrored_ns = self._told_ns = 0
        self._end_ns = order.end_ns

    def _mirror(self, counts: Mapping[str, int]) -> None:
        self._mirrors.set(counts)
        at_ns = now_ns()
        if self._mirrored_ns and at_ns < self._end_ns:
            self._mirror_age_ns = max(self._mirror_age_ns, at_ns - self._mirrored_ns)
        self._mirrored_ns = at_ns

    def _report(self, crew: Crew) -> None:
        crew.listen(0)
        for member in crew.workers:
            name = member.name
            if member.ready and name not in self._connected:
                self._connected.add(name)
                self._tell(words.Connected(name))
            for done in member.reports[self._reports.get(name, 0) :]:
                self._tell(words.Reported(name, done))
            self._reports[name] = len(member.reports)
            if member.gone and self._ends.get(name) != (member.failure, member.ended):
                self._end(member)

    def _end(self, member: Worker) -> None:
        self._ends[member.name] = (member.failure, member.ended)
        reason = member.gave_up if member.failure else ""
        self._tell(
            words.Ended(member.name, member.failure, member.detail, reason, member.crashed, member.ended)
        )

    def _sample(self, moment_ns: int) -> None:
        assert self._crew is not None
        time.sleep(max(moment_ns - now_ns(), 0) / 1e9)
        at_ns = now_ns()
        pids = {w.name: w.pid for w in self._crew.workers}
        self._tell(
            words.Sampled(
                at_ns=at_ns,
                late_ns=at_ns - moment_ns,
                cpu_s={name: cpu_s(pid) for name, pid in pids.items()},
                queued_s={name: queued_s(pid) for name, pid in pids.items()},
                machine_cpu_s=machine_cpu_s(),
                own_cpu_s=time.process_time(),
            )
        )

    def _ship(self, have: Mapping[str, int]) -> None:
        assert self._watches is not None
        assert self._originals is not None
        for name, count in self._watches.counts().items():
            for first, shipped in records(self._folder / name, have.get(name, 0), count, self._originals):
                self._tell(words.Shipped(name, first, shipped))
        self._tell(words.Fetched(self._mirror_age_ns, self._told_age_ns))

    def _worker(self, name: str) -> Worker:
        assert self._crew is not None
        return next(w for w in self._crew.workers if w.name == name)

    def _tell(self, message: words.FromAgent) -> None:
        send(self._sink, message)


_NEARLY_NS = 2_000_000


def send(sink: int, message: words.FromAgent) -> None:
    """Write one message. Raise OSError where the connection has ended."""
    left = memoryview(framed(words.encode(message)))
    while left:
        left = left[os.write(sink, left) :]


def unreachable(address: tuple[str, int]) -> str:
    """Return why no TCP connection to this address is possible from here; empty where one is."""
    try:
        socket.create_connection(address, _REACH_S).close()
    except OSError as error:
        return line_of(error)
    return ""


_REACH_S = 3.0


def own_address(url: str | None) -> str:
    """Return the address of this machine from which it reaches the broker; no packet is sent."""
    parts = urlsplit(url or "")
    if parts.hostname:
        with contextlib.suppress(OSError), contextlib.closing(_udp(parts.hostname, parts.port or 9)) as asker:
            return str(asker.getsockname()[0])
    return "127.0.0.1"


def _udp(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    asker = socket.socket(family, socket.SOCK_DGRAM)
    try:
        asker.connect(address)
    except OSError:
        asker.close()
        raise
    return asker


def main() -> None:
    """Run an agent on the standard streams of this process."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    source, sink = os.dup(0), os.dup(1)
    # What a backend prints is not part of the messages.
    os.dup2(2, 1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    adopt_orphans()
    own_temporary_files()
    with trial_folder() as folder:
        agent = Agent(source, sink, folder)
        try:
            agent.run()
        except Exception as error:  # noqa: BLE001 - the process of the trial says it
            with contextlib.suppress(OSError):
                send(sink, words.Refused(line_of(error), traceback.format_exc()))
                _until_closed(source)
        finally:
            agent.close()
            end_descendants(os.getpid())


def _until_closed(source: int) -> None:
    """Wait until the trial has read the refusal and closed the connection."""
    deadline = time.monotonic() + 5.0
    while (left_s := deadline - time.monotonic()) > 0:
        if select.select([source], [], [], left_s)[0] and not os.read(source, _READ_BYTES):
            return


if __name__ == "__main__":
    main()
