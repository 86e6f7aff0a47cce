"""Two networks on one machine, joined by a cable, for claims that something works "only on one computer"."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ipclab.claims.bench import Bench

_LIFE_S = 60


@dataclass(frozen=True, slots=True)
class Network:
    """``enter`` is the prefix of a command that runs in the network; ``address`` is its own there."""

    enter: tuple[str, ...]
    address: str


@contextlib.contextmanager
def joined(bench: Bench) -> Iterator[tuple[Network, Network] | None]:
    """Yield two network namespaces joined by a virtual cable; None where the system does not allow it.

    Neither has an interface of this machine, whose own network stays unchanged, or the loopback of the other.
    Needs Linux, util-linux and iproute2, and no root where user namespaces are allowed. Each lasts until this
    block ends and nothing runs in it any more.
    """
    with contextlib.ExitStack() as keepers:
        try:
            near = _namespace(bench, keepers, "unshare", "--user", "--map-root-user", "--net")
            far = _namespace(bench, keepers, *_enter(near), "unshare", "--net")
            _ip(near, f"link add near type veth peer name far netns {far}")
            for pid, name, address in ((near, "near", "10.0.0.1"), (far, "far", "10.0.0.2")):
                _ip(pid, f"address add {address}/24 dev {name}")
                _ip(pid, f"link set {name} up")
                _ip(pid, "link set lo up")
        except (OSError, subprocess.SubprocessError):
            networks = None
        else:
            networks = Network(_enter(near), "10.0.0.1"), Network(_enter(far), "10.0.0.2")
        yield networks


def _namespace(bench: Bench, keepers: contextlib.ExitStack, *command: str) -> int:
    """Return the pid of a process that keeps the namespace alive. Raise OSError or SubprocessError."""
    keeper = subprocess.Popen(
        [*command, "sleep", str(_LIFE_S)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    keepers.callback(keeper.wait)
    keepers.callback(keeper.kill)
    name = Path(f"/proc/{keeper.pid}/comm")
    bench.until(lambda: keeper.poll() is not None or name.read_text().strip() == "sleep", "a network")
    if keeper.returncode is not None:
        raise subprocess.CalledProcessError(keeper.returncode, command)
    return keeper.pid


def _enter(pid: int) -> tuple[str, ...]:
    return ("nsenter", "--target", str(pid), "--user", "--net", "--preserve-credentials")


def _ip(pid: int, command: str) -> None:
    subprocess.run([*_enter(pid), "ip", *command.split()], check=True, capture_output=True)
