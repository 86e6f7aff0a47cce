"""The commands of the guide that need brokers do what it says: they are run, shortened, in their order."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import KINDS, kinds
from ipclab.brokers.install import command
from ipclab.results.result import Result
from tests.conftest import BrokerOf
from tests.support.documents import commands, guide
from tests.support.readme import Reader, brokers_of
from tests.support.servers import unavailable

LINES = [
    line
    for line in dict.fromkeys(commands(guide()))
    if line.startswith(("ipclab ", "python ")) and brokers_of(line)
]
PRIVATE = [line for line in LINES if line.split()[1] in ("up", "status", "down") or "native" in line]


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in LINES if line not in PRIVATE])
def test_a_command_that_needs_brokers_succeeds(line: str, broker_of: BrokerOf, tmp_path: Path) -> None:
    urls = {kinds.get(kind).variables[0]: broker_of(kind).url for kind in brokers_of(line)}
    answer = Reader(tmp_path, urls).type(line)
    assert answer.returncode == 0, answer.stderr
    result = msgspec.json.decode((tmp_path / "results/latest/result.json").read_bytes(), type=Result)
    assert result.complete
    assert not result.unavailable
    assert {broker.provider for broker in result.brokers} == {"url"}
    shown = answer.stdout + answer.stderr + str(result)
    for url in urls.values():
        for password in re.findall(r":([^:@/]+)@", url):
            assert f":{password}@" not in shown


def test_private_servers_are_started_used_and_ended_as_the_guide_says(tmp_path: Path) -> None:
    absent: list[BrokerKind] = [kind for kind in KINDS if kinds.get(kind).find_program() is None]
    if absent:
        unavailable(f"not installed: {', '.join(absent)}; get it by: {command(absent)}")
    unset = dict.fromkeys(kinds.variables(), "")
    # No engine, so that 'down' ends what this test started and no containers of whoever runs it.
    reader = Reader(tmp_path, {**unset, "DOCKER_HOST": f"unix://{tmp_path}/no-engine"})
    assert [line.split()[1] for line in PRIVATE] == ["up", "status", "run", "down"]
    try:
        up, status, run, down = [reader.type(line) for line in PRIVATE]
    finally:
        after = reader.type("ipclab down")
    for answer in (up, status, run, down):
        assert answer.returncode == 0, answer.stderr
    for kind in KINDS:
        assert re.search(rf"^{kind} +native", status.stdout, re.MULTILINE)
        assert f"ended {kind} (native" in down.stderr
    assert "starting" not in run.stderr
    assert "no broker of ipclab was running" in after.stderr
