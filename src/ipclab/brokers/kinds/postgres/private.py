"""How a private PostgreSQL is found, configured and started."""

from __future__ import annotations

import functools
import glob
import os
import secrets
import shlex
import sys
from pathlib import Path

from ipclab.brokers import commands, programs
from ipclab.brokers.kinds.base import Launch, Plan
from ipclab.errors import BrokerUnavailableError
from ipclab.host import ports

# Debian keeps the programs of each version in a folder of their own, which is not on PATH.
_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
)
_ASKED_WITHIN_S = 10.0
_SOMEBODY = "1000"
"""The user that root is within a namespace of the server: PostgreSQL refuses to run as root."""


def find_program() -> str | None:
    """Return the path of a ``postgres`` that has ``initdb`` beside it: that on PATH, else the newest."""
    on_path = programs.find("postgres")
    found = [os.path.realpath(on_path)] if on_path else []
    for pattern in _FOLDERS:
        found += [f"{folder}/postgres" for folder in sorted(glob.glob(pattern), key=_version, reverse=True)]
    for program in found:
        if os.access(program, os.X_OK) and os.access(Path(program).with_name("initdb"), os.X_OK):
            return program
    return None


def plan(program: str, folder: Path) -> Plan:
    """Write a script that makes the cluster where there is none and becomes the server.

    The cluster has the server's default settings, except that it listens on a port of the loopback interface
    only, and keeps its shared memory for queries in its data folder, which ends with it. Raise
    BrokerUnavailableError for root where the system has no user namespaces.
    """
    data, password_file = folder / "data", folder / "password"
    if not password_file.exists():
        programs.write_private(password_file, secrets.token_hex(16))
    port, password = ports.free_port(), password_file.read_text(encoding="ascii")
    initdb = [
        *(str(Path(program).with_name("initdb")), "--pgdata", str(data), "--username", "ipclab"),
        *("--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8"),
        *("--locale", "C.UTF-8" if sys.platform == "linux" else "C"),
    ]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "dynamic_shared_memory_type": "mmap",
    }
    server = [program, "-D", str(data), *(part for s in settings.items() for part in ("-c", "=".join(s)))]
    programs.write_private(
        folder / "start.sh",
        f"[ -s {shlex.quote(str(data / 'PG_VERSION'))} ] || {shlex.join(initdb)} || exit\n"
        f"exec {shlex.join(server)}\n",
    )
    argv = (*_apart(), "/bin/sh", str(folder / "start.sh"))
    url = f"postgresql://ipclab:{password}@127.0.0.1:{port}/postgres"
    return Plan(url, (Launch(argv, programs.environment(folder)),))


@functools.cache
def _apart() -> tuple[str, ...]:
    """Return the command prefix that makes the server a user other than root, with the same process id.

    It also gives the server System V shared memory of its own, which ends with it however it ends. Where the
    system does not allow that, a user other than root gets no prefix.
    """
    as_root = os.geteuid() == 0
    users = [f"--map-user={_SOMEBODY}", f"--map-group={_SOMEBODY}"] if as_root else ["--map-current-user"]
    prefix = (programs.find("unshare") or "unshare", "--user", "--ipc", *users, "--")
    tried = commands.run([*prefix, "true"], timeout_s=_ASKED_WITHIN_S)
    if tried.returncode == 0:
        return prefix
    if as_root:
        raise BrokerUnavailableError(
            "PostgreSQL does not run as root, and this system has no user namespaces "
            f"({commands.last_line(tried.stderr)}): run ipclab as another user, or set POSTGRES_URL"
        )
    return ()


def _version(folder: str) -> tuple[int, ...]:
    return tuple(
        int(part) for part in folder.replace("-", "/").replace("@", "/").split("/") if part.isdigit()
    )
