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
    Needs Linux, util-linux and iproute2, and root or a system that allows user namespaces. Each lasts until
    this block ends and nothing runs in it any more.
    """
    with contextlib.ExitStack() as keepers:
        # Root needs no user namespace, and has none in a chroot, where the kernel refuses them.
        yield _join(bench, keepers, as_user=True) or _join(bench, keepers, as_user=False)


def _join(bench: Bench, keepers: contextlib.ExitStack, *, as_user: bool) -> tuple[Network, Network] | None:
    """Return the two networks, or None where the system does not allow them in this way."""
    mapped = ("--user", "--map-root-user") if as_user else ()
    try:
        near = _namespace(bench, keepers, "unshare", *mapped, "--net")
        enter_near = _enter(near, as_user)
        far = _namespace(bench, keepers, *enter_near, "unshare", "--net")
        enter_far = _enter(far, as_user)
        _ip(enter_near, f"link add near type veth peer name far netns {far}")
        for enter, name, address in ((enter_near, "near", "10.0.0.1"), (enter_far, "far", "10.0.0.2")):
            _ip(enter, f"address add {address}/24 dev {name}")
            _ip(enter, f"link set {name} up")
            _ip(enter, "link set lo up")
    except (OSError, subprocess.SubprocessError):
        return None
    return Network(enter_near, "10.0.0.1"), Network(enter_far, "10.0.0.2")


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


def _enter(pid: int, as_user: bool) -> tuple[str, ...]:
    of_user = ("--user", "--preserve-credentials") if as_user else ()
    return ("nsenter", "--target", str(pid), "--net", *of_user)


def _ip(enter: tuple[str, ...], command: str) -> None:
    subprocess.run([*enter, "ip", *command.split()], check=True, capture_output=True)
