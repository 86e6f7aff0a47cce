"""Ends a lab in every hard way and looks for what is left: bursts of signals, kills, clock steps, crashes.

    python benchmarks/ends.py                      # all of it, about half an hour
    python benchmarks/ends.py --scale 0.1          # a tenth of each
    python benchmarks/ends.py bursts kills         # only these

Prints a table, and exits with 1 where something was left after the next command, where another run was
harmed, or where the last word of a run was false. Needs Linux, redis-server and memcached; RabbitMQ is used
where it is installed. The clock is set back by a changed ``/proc/stat`` in a mount namespace.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ipclab import brokers
from ipclab.brokers import kinds, processes
from ipclab.results.store import Store

ENDED = "all started processes and brokers are stopped"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
WITHIN_S = 90.0
GONE_WITHIN_S = 15.0
PROGRAM = [sys.executable, "-m", "ipclab"]
ONE_SHAPE = ["--producers", "1", "--consumers", "1", "--size", "64", "--window", "1", "--warmup", "0"]


@dataclass(slots=True)
class Finding:
    """What one part has tried and found wrong."""

    tried: int = 0
    faults: list[str] = field(default_factory=list)

    def check(self, good: bool, fault: str) -> None:
        if not good:
            self.faults.append(fault)


class Place:
    """Folders of its own for some labs, so that what is left in them is theirs."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.folder = folder
        self.state, self.tmp, self.results = folder / "state", folder / "tmp", folder / "results"
        self.state.mkdir(mode=0o700)
        self.tmp.mkdir()
        urls = {variable for kind in kinds.names() for variable in kinds.get(kind).variables}
        env = {name: value for name, value in os.environ.items() if name not in urls}
        self.env = env | {"IPCLAB_STATE_DIR": str(self.state), "TMPDIR": str(self.tmp)} | more

    def lab(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a lab in a process group of its own."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a lab to its end."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=WITHIN_S, check=False,
        )  # fmt: skip

    def left(self) -> list[str]:
        """Return what is in the folders, and which servers run in them."""
        servers = [f"pid {process.pid}" for process in processes.inside(self.state)]
        return servers + [path.name for path in (*self.state.iterdir(), *self.tmp.iterdir())]

    def nothing_left(self) -> list[str]:
        """Return what is left after a while: the kernel and a keeper take a moment after a lab was killed."""
        deadline = time.monotonic() + GONE_WITHIN_S
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left


@contextlib.contextmanager
def place(**more: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="ends-", ignore_cleanup_errors=True) as folder:
        yield Place(Path(folder), **more)


def throughput(rng: random.Random) -> list[str]:
    """Return the arguments of a run of many short trials on one backend, with a server or without."""
    backends = ["queue", "manager-queue", "redis-list", "redis-stream", "memcached-ticket"]
    methods = ["fork", "forkserver"]
    if kinds.get("rabbitmq").find_program():
        backends.append("rabbitmq")
    return [
        *("run", "throughput", "--backend", rng.choice(backends), *ONE_SHAPE, "--duration", "0.3"),
        *("--repeats", "50", "--start-method", rng.choice(methods), "--provider", "native", "--no-install"),
    ]


def signal_it(lab: subprocess.Popen[str], number: int, *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(lab.pid, number)


def bursts(count: int, rng: random.Random) -> Finding:
    """Send 2 to 5 signals, close to each other, at a random moment of a run."""
    found = Finding()
    for _ in range(count):
        with place() as here:
            lab = here.lab(*throughput(rng))
            time.sleep(rng.uniform(0.3, 4))
            number, group = rng.choice(SIGNALS), rng.random() < 0.5
            for _ in range(rng.randint(2, 5)):
                signal_it(lab, number, group=group)
                time.sleep(rng.choice([0, 0.01, 0.05, 0.2]))
            what = f"{number.name} {'to the group' if group else ''}"
            try:
                _, errors = lab.communicate(timeout=WITHIN_S)
            except subprocess.TimeoutExpired:
                lab.kill()
                lab.communicate()
                found.check(False, f"{what}: did not end within {WITHIN_S:g} s")
                continue
            last = (errors.strip().splitlines() or [""])[-1]
            left = here.left()
            found.tried += 1
            found.check("Traceback" not in errors, f"{what}: a traceback: {errors[-300:]}")
            found.check(not (ENDED in last and left), f"{what}: said {last!r} and left {left}")
            here.run("down")
            left = here.nothing_left()
            found.check(not left, f"{what}: left after the next command: {left}")
    return found


def kills(count: int, rng: random.Random) -> Finding:
    """Send SIGKILL to the lab, its group, or the lab and its keeper, at a random moment of a run."""
    found = Finding()
    for _ in range(count):
        with place() as here:
            lab = here.lab(*throughput(rng))
            time.sleep(rng.uniform(0.3, 4))
            how = rng.choice(["lab", "group", "lab and keeper"])
            if how == "lab and keeper":
                for process in processes.inside(here.state):
                    with contextlib.suppress(Exception):
                        if "keeper" in " ".join(process.cmdline()):
                            process.kill()
            signal_it(lab, signal.SIGKILL, group=how == "group")
            lab.communicate()
            found.tried += 1
            # A run, since only a run looks for temporary files; on no server.
            after = here.run(
                "run", "throughput", "-b", "pipe", *ONE_SHAPE, "--duration", "0.1", "--repeats", "1"
            )
            found.check(after.returncode == 0, f"kill {how}: the next run failed: {after.stderr[-300:]}")
            left = here.nothing_left()
            found.check(not left, f"kill {how}: left after the next command: {left}")
            found.check(bool(readable(here)), f"kill {how}: results that cannot be read")
    return found


def readable(here: Place) -> bool:
    """Return whether every stored run can be read, also those that were killed."""
    store = Store(here.results)
    return all(store.load(run) for run in store.runs())


def steps(count: int, rng: random.Random) -> Finding:
    """Set the wall clock, as every other command sees it, while a run is in progress."""
    found = Finding()
    if subprocess.run(["unshare", "--mount", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        found.faults.append("not tried: no mount namespaces here (needs root and util-linux)")
        return found
    for _ in range(count):
        with place() as here:
            shape = [*ONE_SHAPE, "--duration", "0.5", "--repeats", "6"]
            lab = here.lab("run", "throughput", "-b", "redis-list", *shape, "--provider", "native")
            time.sleep(rng.uniform(1, 3))
            set_back = here.folder / "stat"
            at = int(time.time() + rng.choice([-1, 1]) * rng.uniform(10, 1e6))
            set_back.write_text(re.sub(r"btime \d+", f"btime {at}", Path("/proc/stat").read_text()))
            script = 'mount --bind "$0" /proc/stat && exec "$@"'
            subprocess.run(
                ["unshare", "--mount", "sh", "-c", script, str(set_back), *PROGRAM, "down"],
                env=here.env, capture_output=True, timeout=WITHIN_S, check=False,
            )  # fmt: skip
            _, errors = lab.communicate(timeout=WITHIN_S)
            found.tried += 1
            result = Store(here.results).load("latest")
            good = lab.returncode == 0 and {trial.outcome for trial in result.trials} == {"finished"}
            found.check(good, f"clock set to {at}: the run was harmed: {errors[-300:]}")
            left = here.nothing_left()
            found.check(not left, f"clock set to {at}: left: {left}")
    return found


def crashes(count: int, rng: random.Random) -> Finding:
    """Run crash trials that kill their broker, beside other runs on the servers of ``up``."""
    found = Finding()
    with place() as here:
        up = here.run("up", "redis", "--provider", "native", "--no-install")
        found.check(up.returncode == 0, f"up: {up.stderr[-300:]}")
        for _ in range(count):
            shape = [*ONE_SHAPE, "--duration", "1", "--repeats", "8"]
            other = here.lab("run", "throughput", "-b", "redis-list", *shape, "--provider", "native")
            time.sleep(rng.uniform(0, 2))
            crash = here.run(
                *("run", "crash", "-b", "redis-list", "--target", "broker", "--fault", "kill"),
                *("--provider", "native", "--no-install"),
            )
            _, errors = other.communicate(timeout=WITHIN_S)
            found.tried += 1
            found.check(crash.returncode in (0, 1, 3), f"the crash run failed: {crash.stderr[-300:]}")
            result = Store(here.results).load("throughput")
            good = other.returncode == 0 and {trial.outcome for trial in result.trials} == {"finished"}
            found.check(good, f"the other run was harmed: {errors[-300:]}")
        here.run("down")
        left = here.nothing_left()
        found.check(not left, f"left after down: {left}")
    return found


def names(count: int, rng: random.Random) -> Finding:
    """Send SIGKILL to a run on a URL's servers; the next run must remove what it left, and say so."""
    found = Finding()
    wanted = [kind for kind in ("redis", "memcached", "rabbitmq") if kinds.get(kind).find_program()]
    backends = {
        "redis": ["redis-list", "redis-stream"],
        "memcached": ["memcached-ticket"],
        "rabbitmq": ["rabbitmq"],
    }
    with tempfile.TemporaryDirectory(prefix="ends-servers-") as folder:
        os.environ["IPCLAB_STATE_DIR"] = folder
        with brokers.acquire(wanted, provider="native", install=False) as fleet:
            urls = {kinds.get(kind).variables[0]: broker.url for kind, broker in fleet.brokers.items()}
            for _ in range(count):
                kind = rng.choice(wanted)
                backend = rng.choice(backends[kind])
                with place(**urls) as here:
                    shape = [*ONE_SHAPE, "--duration", "0.3", "--repeats", "50"]
                    lab = here.lab("run", "throughput", "-b", backend, *shape)
                    time.sleep(rng.uniform(0.5, 3))
                    signal_it(lab, signal.SIGKILL, group=rng.random() < 0.5)
                    lab.communicate()
                    marked = list(here.state.glob(".names-*.json"))
                    shape = [*ONE_SHAPE, "--duration", "0.1", "--repeats", "1"]
                    after = here.run("run", "throughput", "-b", backend, *shape)
                    found.tried += 1
                    found.check(after.returncode == 0, f"{backend}: the next run: {after.stderr[-300:]}")
                    said = "left by the run of" in after.stderr
                    found.check(said == bool(marked), f"{backend}: {marked}, and it said: {after.stderr}")
                    left = there(fleet, kind)
                    found.check(not left, f"{backend}: still on the server: {left[:5]}")
                    found.check(not here.nothing_left(), f"{backend}: left: {here.left()}")
    return found


def there(fleet: brokers.Fleet, kind: str) -> list[str]:
    """Return the names of the lab on a server, read from the server and not from the lab."""
    broker = fleet.brokers[kind]
    if kind == "redis":
        from ipclab.brokers.kinds.redis import probe

        with probe.client(broker.url) as client:
            return [key.decode() for key in client.scan_iter(match="ipclab:*")]
    if kind == "rabbitmq":
        told = broker.execute("rabbitmqctl", "-q", "list_queues", "--no-table-headers", "name")
        return [name for name in told.split() if name.startswith("ipclab:")]
    from ipclab.brokers.kinds import memcached

    items = int(memcached.stats(broker.url)[b"curr_items"])
    return [f"{items} items"] if items else []


PARTS: dict[str, tuple[Callable[[int, random.Random], Finding], int]] = {
    "bursts": (bursts, 200),
    "kills": (kills, 100),
    "steps": (steps, 20),
    "crashes": (crashes, 12),
    "names": (names, 30),
}


def main() -> int:
    """Run the parts that were asked for, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual number of tries")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    missing = [kind for kind in ("redis", "memcached") if not kinds.get(kind).find_program()]
    if missing or not shutil.which("sh"):
        parser.error(f"not installed: {', '.join(missing)}")
    rows = []
    for name in asked.parts or PARTS:
        part, usual = PARTS[name]
        began_s = time.monotonic()
        found = part(max(round(usual * asked.scale), 1), random.Random(asked.seed))
        rows.append((name, found.tried, len(found.faults), time.monotonic() - began_s))
        for fault in found.faults:
            sys.stderr.write(f"{name}: {fault}\n")
    sys.stdout.write(f"{'part':10} {'tried':>6} {'faults':>7} {'seconds':>8}\n")
    for name, tried, faults, seconds in rows:
        sys.stdout.write(f"{name:10} {tried:6} {faults:7} {seconds:8.0f}\n")
    return 1 if any(faults for _, _, faults, _ in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
