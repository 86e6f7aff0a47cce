"""How a private Redis, RabbitMQ or memcached is configured and started. Pure but for the files it writes."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import random
import secrets
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ipclab.backends.base import BrokerKind
from ipclab.brokers.state import Launch

PROGRAMS: Mapping[BrokerKind, str] = {
    "redis": "redis-server",
    "rabbitmq": "rabbitmq-server",
    "memcached": "memcached",
}
# The server's own script runs as any user; Debian's in /usr/sbin insists on root or rabbitmq.
_RABBITMQ_SCRIPTS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
)
_MORE_FOLDERS = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/homebrew/bin",
)
SETTINGS_FILE = "ipclab-settings.conf"
"""In the data folder of a Redis: what it is set to for a trial, kept when it is killed and started again."""
_FIRST_PORT, _LAST_PORT = 10_000, 32_768
_UNPRIVILEGED = ("memcache", "memcached", "nobody")


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a server will answer, and the processes to start, in their order, the server last."""

    url: str
    launches: tuple[Launch, ...]


def search_path() -> str:
    """PATH, and the folders where servers are often installed but which a user's PATH may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), *_MORE_FOLDERS])


def find_program(kind: BrokerKind) -> str | None:
    """The server's program on this machine, None where it is not installed."""
    if kind == "rabbitmq":
        for pattern in _RABBITMQ_SCRIPTS:
            for script in sorted(glob.glob(pattern), reverse=True):
                if os.access(script, os.X_OK) and shutil.which("erl", path=search_path()):
                    return script
    return shutil.which(PROGRAMS[kind], path=search_path())


def free_port() -> int:
    """A loopback port that nobody uses now; somebody may take it before it is bound.

    From below those that the system gives to clients: a client that keeps trying to reach a server which is
    down may get that very port for its own end, is then connected to itself, and the server cannot have it
    back.
    """
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.SystemRandom().randrange(_FIRST_PORT, _first_of_clients())
            probe.bind(("127.0.0.1", port))
            return port


def _first_of_clients() -> int:
    """Where the ports for clients begin."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        if first > _FIRST_PORT:
            return first
    return _LAST_PORT


def plan(kind: BrokerKind, program: str, folder: Path) -> Plan:
    """Write the configuration of a private server into ``folder``, with fresh ports and passwords."""
    makers: dict[BrokerKind, Callable[[str, Path], Plan]] = {
        "redis": _redis,
        "rabbitmq": _rabbitmq,
        "memcached": _memcached,
    }
    return makers[kind](program, folder)


def _redis(program: str, folder: Path) -> Plan:
    port, password = free_port(), secrets.token_hex(16)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    _write(data / SETTINGS_FILE, "")
    # A file, because a command line is shown to every user of the machine.
    _write(
        folder / "redis.conf",
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\n"
        f'dir "{data}"\nsave ""\nappendonly no\ndaemonize no\ninclude "{data / SETTINGS_FILE}"\n',
    )
    return Plan(
        f"redis://:{password}@127.0.0.1:{port}/0",
        (Launch((program, str(folder / "redis.conf")), _environment(folder)),),
    )


def _memcached(program: str, folder: Path) -> Plan:
    port = free_port()
    argv = [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0"]
    if os.geteuid() == 0:
        argv += ["-u", _unprivileged_user()]
    return Plan(f"memcached://127.0.0.1:{port}", (Launch(tuple(argv), _environment(folder)),))


def _rabbitmq(program: str, folder: Path) -> Plan:
    port, epmd_port, password = free_port(), free_port(), secrets.token_hex(16)
    for name in ("mnesia", "log", "conf.d", "config"):
        (folder / name).mkdir(exist_ok=True)
    for name in ("rabbitmq-env.conf", "advanced.config"):
        _write(folder / name, "[].\n" if name == "advanced.config" else "")
    _write(folder / "enabled_plugins", "[].\n")
    _write(
        folder / "rabbitmq.conf",
        f"listeners.tcp.default = 127.0.0.1:{port}\n"
        f"default_user = ipclab\ndefault_pass = {password}\n"
        # The output is kept in one file of ours, which is read when the server dies while it starts.
        "log.console = true\nlog.console.level = warning\nlog.file = false\n",
    )
    env = _environment(folder) | {
        "RABBITMQ_NODENAME": f"ipclab-{secrets.token_hex(4)}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
        "RABBITMQ_SCHEMA_DIR": str(folder / "config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "feature_flags"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # Nobody logs in with it; it is only there so that the shell of the server never waits for a name.
        "LANG": "C.UTF-8",
    }
    launches = [Launch((program,), env)]
    epmd = shutil.which("epmd", path=search_path())
    if epmd is not None:
        # As a process of ours it ends with the server; the one that Erlang starts by itself would not.
        launches.insert(0, Launch((epmd, "-port", str(epmd_port), "-address", "127.0.0.1"), env))
    return Plan(f"amqp://ipclab:{password}@127.0.0.1:{port}/%2F", tuple(launches))


def _environment(folder: Path) -> dict[str, str]:
    """A small one: what the user has set for a server of their own must not reach ours."""
    kept = {name: os.environ[name] for name in ("TZ", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return kept | {"PATH": search_path(), "HOME": str(folder), "LANG": "C.UTF-8"}


def _unprivileged_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _UNPRIVILEGED if name in known), "nobody")


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
