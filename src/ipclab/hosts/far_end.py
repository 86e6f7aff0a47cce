"""The other end of an engine: tells what the machine has, starts the agent there, and pumps its bytes.

The engine sends the text of this file to the machine and runs it, so it imports the standard library only,
and works without ipclab. The gateway has threads, so it never forks: the agent is a process of its own. Items
of the channel are bytes of the agent's streams, None as a sign of life, and False from the trial as its end.
The first item that comes is a dict of settings, the first that goes a dict of facts.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

BEAT_S = 1.0
_CHUNK_BYTES = 2**17
_GAVE_UP = 1
"""The exit code of a child that gave up (``ipclab.exit_codes``, which may not be here)."""
_LEFT_S = 5.0
"""How long an agent may take to end its workers when its input has ended."""


def code_of(package: Path) -> str:
    """Return a digest of the package's source, by which two copies of one version are compared."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda one: one.relative_to(package).as_posix()):
        if "_shipped" not in path.parts:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def facts(path: str = "") -> dict[str, Any]:
    """Return what this machine has: interpreter, copy of ipclab, processors, load, identity of its clock."""
    if path:
        sys.path.insert(0, path)
    found = importlib.util.find_spec("ipclab")
    package = Path(found.origin).parent if found is not None and found.origin else None
    version = ""
    if package is not None:
        for line in (package / "__init__.py").read_text().splitlines():
            if line.startswith("__version__"):
                version = line.partition("=")[2].strip().strip("\"'")
    wanted = ("msgspec", "numpy", "psutil", "redis", "pika", "pymemcache")
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "version": version,
        "code": code_of(package) if package is not None else "",
        "missing": [name for name in wanted if importlib.util.find_spec(name) is None],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "load": os.getloadavg()[0],
        "clock": clock_identity(),
        "network": network_identity(),
    }


def clock_identity() -> str:
    """Return a text that two processes share if and only if their clock is known to be the same."""
    return f"{_boot()} {_namespace('time')}"


def network_identity() -> str:
    """Return a text that two processes share if and only if their loopback is known to be the same."""
    return f"{_boot()} {_namespace('net')}"


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"unknown {base64.b16encode(os.urandom(8)).decode()}"


def _namespace(kind: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/ns/{kind}")
    return ""


def main(channel: Any) -> None:
    """Serve one connection until the agent ends, the connection ends, or nothing came for the lease."""
    settings = channel.receive()
    folder = tempfile.mkdtemp(prefix="ipclab-host-")
    silent = False
    try:
        path = ""
        if settings["wheel"]:
            path = os.path.join(folder, "wheel")
            zipfile.ZipFile(io.BytesIO(settings["wheel"])).extractall(path)
        found = facts(path)
        channel.send(found)
        same = (found["version"], found["code"]) == (settings["version"], settings["code"])
        if same and settings["module"] and not found["missing"]:
            silent = _serve(channel, settings, folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if silent:
        # The connection may stay open for hours, and the gateway with it.
        os._exit(_GAVE_UP)


def _serve(channel: Any, settings: dict[str, Any], folder: str, path: str) -> bool:
    """Run the agent until it or the connection ends; return whether nothing came for the lease."""
    environment = {**os.environ, "TMPDIR": folder, "PYTHONSAFEPATH": "1"}
    if path:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))
    agent = subprocess.Popen(
        [sys.executable, "-m", settings["module"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        bufsize=0,
        start_new_session=True,
    )
    assert agent.stdin is not None
    for task in (_pump_out, _beat):
        threading.Thread(target=task, args=(channel, agent), daemon=True).start()
    silent = False
    try:
        last = time.monotonic()
        while agent.poll() is None:
            try:
                item = channel.receive(timeout=BEAT_S)
                last = time.monotonic()
            except channel.TimeoutError:
                if time.monotonic() - last > settings["lease_s"]:
                    silent = True
                    break
                continue
            except EOFError:
                break
            if item is False:
                break
            left = memoryview(item or b"")
            while left:
                left = left[agent.stdin.write(left) :]
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            agent.stdin.close()
        try:
            agent.wait(_LEFT_S)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()
    return silent


def _pump_out(channel: Any, agent: subprocess.Popen[bytes]) -> None:
    assert agent.stdout is not None
    with contextlib.suppress(OSError, EOFError):
        while data := os.read(agent.stdout.fileno(), _CHUNK_BYTES):
            channel.send(data)


def _beat(channel: Any, agent: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, EOFError):
        while agent.poll() is None:
            time.sleep(BEAT_S)
            channel.send(None)


if __name__ == "__channelexec__":
    main(channel)  # type: ignore[name-defined]  # noqa: F821 - the engine defines it
