"""The names of hangs, from stacks that py-spy recorded on several versions of Python, of forked processes.

The files of the recorded interpreters need not exist here: the lines of source are part of the record.
"""

from __future__ import annotations

import json
import linecache
from pathlib import Path

import pytest

from ipclab.host.stacks import Frame
from ipclab.stuck.facts import Process, Thread, Wait
from ipclab.stuck.names import process_primitive, role

RECORDED = json.loads((Path(__file__).parent / "data" / "stacks.json").read_text(encoding="utf-8"))
NAMES = {
    "queue_read_lock": "Queue.get (read lock)",
    "queue_get": "Queue.get (in Connection._recv)",
    "lock": "want",
    "pool": "ApplyResult.get (condition)",
    "feeder": "Queue._feed (in Connection._send)",
}
ROLES = ("sends tasks", "receives results", "replaces workers")


def threads_of(version: str, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Thread, ...]:
    """The recorded threads of a hang, with the recorded lines of source."""
    lines: dict[str, dict[int, str]] = {}
    found = []
    for tid, (called, is_main, recorded) in enumerate(RECORDED[version][name], start=1):
        for file, line, _, source in recorded:
            lines.setdefault(file, {})[line] = source
        frames = tuple(Frame(file, line, function) for file, line, function, _ in recorded)
        found.append(Thread(tid, called, is_main, frames, False, Wait("other")))
    monkeypatch.setattr(linecache, "getline", lambda file, line: lines.get(file, {}).get(line, ""))
    return tuple(found)


@pytest.mark.parametrize("version", RECORDED)
@pytest.mark.parametrize("name", NAMES)
def test_a_hang_has_the_same_name_on_each_version(
    version: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = threads_of(version, name, monkeypatch)

    # Before 3.13 the main thread, which waits for the feeder thread, is named first.
    assert process_primitive(Process(1, 0, "program", False, threads)).endswith(NAMES[name])


@pytest.mark.parametrize("version", RECORDED)
def test_the_threads_of_a_pool_are_told_apart(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    roles = " ".join(role(thread) for thread in threads_of(version, "pool", monkeypatch))

    assert all(words in roles for words in ROLES)
