"""``ssh:`` leads to a Python through a real server of SSH, which listens on the loopback."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipclab import __version__
from tests.support.servers import unavailable

SSHD = "/usr/sbin/sshd"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """The text for ``--host`` of a machine that is this one, through a private server of SSH."""
    for program, package in ((SSHD, "openssh-server"), ("ssh", "openssh-client")):
        if shutil.which(program) is None:
            unavailable(f"{program} is not installed: apt-get install {package}")
    tmp_path.chmod(0o700)
    for name in ("server", "own"):
        make_key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(make_key, check=True)
    shutil.copy(tmp_path / "own.pub", tmp_path / "authorized")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/server\n"
        f"AuthorizedKeysFile {tmp_path}/authorized\n"
        f"PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
    )
    (tmp_path / "ssh_config").write_text(
        f"Host a\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n"
        f" IdentityFile {tmp_path}/own\n"
        f" StrictHostKeyChecking accept-new\n UserKnownHostsFile {tmp_path}/known\n LogLevel ERROR\n"
    )
    if getpass.getuser() == "root":
        # Where sshd gives up its rights; on a machine that has started it, the folder exists.
        Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=subprocess.DEVNULL
    ) as server:
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"ssh:-F {tmp_path}/ssh_config a:{sys.executable}"
        finally:
            server.terminate()


def check(*hosts: str) -> subprocess.CompletedProcess[str]:
    named = [word for one in hosts for word in ("--host", one)]
    return subprocess.run(
        [sys.executable, "-m", "ipclab", "hosts", "check", *named], capture_output=True, text=True, timeout=90
    )


def test_ssh_leads_to_the_python_of_a_machine(host: str) -> None:
    found = check(host, f"{host}-of-nobody")
    assert found.returncode == 2
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[1][2] == __version__, found.stderr
    assert lines[1][-1] == "yes"
    assert lines[2][2] == "–"
    assert "machine 2 cannot be reached: " in found.stderr
