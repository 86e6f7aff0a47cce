"""A private server for other machines: ``--listen`` names the address of this machine that they reach."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ipclab.results.reader import parse
from tests.support.machines import DESK_ADDRESS, Clock, machines, why_no_namespaces
from tests.support.servers import require_server


def run(
    rig_command: list[str], hosts: list[str], folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    asked = ["throughput", "--backend", "redis-stream", "--size", "64", "--window", "10", "--producers", "1"]
    short = [
        "--consumers",
        "1",
        "--duration",
        "0.3",
        "--warmup",
        "0.1",
        "--repeats",
        "1",
        "--provider",
        "native",
    ]
    named = [word for one in hosts for word in ("--host", f"exec:{one}")]
    return subprocess.run(
        [*rig_command, "-m", "ipclab", "run", *asked, *short, *named, *options, "--results", str(folder)],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=90,
    )


@pytest.mark.skipif(
    why_no_namespaces() is not None, reason=f"needs network and time namespaces: {why_no_namespaces()}"
)
def test_a_private_server_is_refused_on_loopback_and_reached_where_it_listens(tmp_path: Path) -> None:
    require_server("redis")
    with machines([Clock(), Clock(offset_ns=3_000 * 10**9)]) as rig:
        python = rig.at_desk(sys.executable)
        hosts = [shlex.join(one.python()) for one in rig.machines]
        refused = run(python, hosts, tmp_path)
        reached = run(
            python,
            hosts,
            tmp_path,
            "--listen",
            DESK_ADDRESS,
            "--place",
            "producer=2",
            "--place",
            "consumer=1",
        )
    assert refused.returncode == 2
    assert "listens on the loopback of this machine, which machine 1 cannot reach" in refused.stderr
    assert "--listen ADDRESS" in refused.stderr
    assert reached.returncode == 0, reached.stderr
    (file,) = tmp_path.rglob("result.json")
    (trial,) = parse(file.read_bytes(), str(file)).trials
    assert trial.ledger is not None
    assert trial.ledger.verdict == "valid"
    assert trial.ledger.received > 100
    assert "machine 2: " in reached.stdout
    # The password of the server is in no output.
    assert f"redis://{DESK_ADDRESS}" in reached.stderr
