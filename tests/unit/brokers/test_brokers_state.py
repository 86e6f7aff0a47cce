from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from ipclab.brokers import keeper, processes, state
from ipclab.brokers.processes import ProcessId
from ipclab.brokers.state import NativeRecord
from ipclab.errors import BrokerUnavailableError

GONE = ProcessId(pid=2**22 - 1, created_at_s=1.0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., ProcessId]]:
    """Starts a process that only waits, and ends it after the test."""
    started: list[ProcessId] = []

    def start(
        folder: Path = tmp_path, program: str = "import time; time.sleep(60)", home: Path | None = None
    ) -> ProcessId:
        argv = [sys.executable, "-c", program]
        env = os.environ | ({"HOME": str(home)} if home else {})
        started.append(processes.spawn(argv, folder=folder, log=Path(os.devnull), env=env))
        return started[-1]

    yield start
    processes.end(started)


def server(owner: ProcessId | None, *running: ProcessId) -> NativeRecord:
    return NativeRecord("redis", "redis://:secret@127.0.0.1:1/0", owner, time.time(), processes=running)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_record_is_found_as_it_was_written() -> None:
    record = server(processes.this_process(), GONE)
    folder = state.create("redis", record)
    assert list(state.records()) == [(folder, record)]


def test_what_holds_a_password_is_readable_by_its_user_only(home: Path) -> None:
    folder = state.create("redis", server(None))
    for path, mode in ((home, 0o700), (folder, 0o700), (folder / "record.json", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_folder_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    state.home()
    monkeypatch.setattr(os, "getuid", lambda: home.stat().st_uid + 1)
    with pytest.raises(BrokerUnavailableError, match="IPCLAB_STATE_DIR"):
        state.home()


def test_a_folder_that_is_open_to_others_is_refused_and_left_as_it_is(home: Path) -> None:
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    with pytest.raises(BrokerUnavailableError, match=r"is open to others.*chmod 700"):
        state.home()
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


def test_a_damaged_record_stops_nothing() -> None:
    folder = state.create("redis", server(None))
    (folder / "record.json").write_text("{")
    assert list(state.records()) == []
    assert state.sweep() == 0


def test_a_sweep_ends_the_servers_of_a_lab_that_is_gone(spawn: Callable[..., ProcessId]) -> None:
    left_over = spawn()
    folder = state.create("redis", server(GONE, left_over))
    assert state.sweep() == 1
    assert not processes.is_alive(left_over)
    assert not folder.exists()


def test_a_sweep_leaves_alone_what_a_living_lab_uses(spawn: Callable[..., ProcessId]) -> None:
    used = spawn()
    state.create("redis", server(processes.this_process(), used))
    assert state.sweep() == 0
    assert processes.is_alive(used)


def test_a_sweep_leaves_alone_what_has_no_owner(spawn: Callable[..., ProcessId]) -> None:
    lasting = spawn()
    state.create("redis", server(None, lasting))
    assert state.sweep() == 0
    assert processes.is_alive(lasting)


def test_a_sweep_deletes_the_folder_of_a_lab_that_was_killed_while_it_made_it(home: Path) -> None:
    state.home()
    old, new = home / ".new-redis-1", home / ".new-redis-2"
    for folder in (old, new):
        folder.mkdir()
    an_hour_ago_s = time.time() - 3600
    os.utime(old, (an_hour_ago_s, an_hour_ago_s))
    state.sweep()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_process_that_got_a_recycled_pid_is_never_ended(spawn: Callable[..., ProcessId]) -> None:
    stranger = spawn()
    earlier = msgspec.structs.replace(stranger, created_at_s=stranger.created_at_s - 3600)
    state.create("redis", server(GONE, earlier))
    assert state.sweep() == 1
    assert processes.is_alive(stranger)


def test_a_sweep_ends_a_server_that_was_started_but_not_yet_noted(spawn: Callable[..., ProcessId]) -> None:
    folder = state.create("redis", server(GONE))
    unnoted = spawn(folder, home=folder)
    assert state.sweep() == 1
    # One that had not yet entered its folder finds none, and ends by itself.
    assert eventually(lambda: not processes.is_alive(unnoted))


def test_who_looks_into_the_folder_of_a_server_outlives_its_end(spawn: Callable[..., ProcessId]) -> None:
    folder = state.create("redis", server(GONE))
    looking = spawn(folder)
    assert eventually(lambda: Path(f"/proc/{looking.pid}/cwd").resolve() == folder)
    assert state.sweep() == 1
    assert processes.is_alive(looking)


def test_ending_a_server_ends_the_processes_that_it_started(
    spawn: Callable[..., ProcessId], tmp_path: Path
) -> None:
    note = tmp_path / "child"
    child = f"import os,time;open({str(note)!r},'w').write(str(os.getpid()));time.sleep(60)"
    parent = spawn(
        tmp_path,
        f"import subprocess,sys;subprocess.run([sys.executable,'-c',{child!r}],start_new_session=True)",
    )
    assert eventually(lambda: note.exists() and bool(note.read_text()))
    offspring = processes.identify(int(note.read_text()))
    processes.end([parent])
    assert eventually(lambda: not processes.is_alive(offspring))


def test_the_cost_of_a_server_is_told_while_it_runs_only(spawn: Callable[..., ProcessId]) -> None:
    process = spawn(program="while True: pass")

    def cpu_s() -> float:
        usage = processes.usage([process])
        return usage.cpu_s if usage is not None else 0.0

    assert eventually(lambda: cpu_s() > 0.05)
    usage = processes.usage([process])
    assert usage is not None
    assert usage.rss_bytes is not None
    assert usage.rss_bytes > 0
    processes.end([process])
    assert processes.usage([process]) is None


def test_a_keeper_returns_when_its_process_is_gone(spawn: Callable[..., ProcessId]) -> None:
    kept = spawn(program="import time; time.sleep(0.2)")
    keeper.wait_for_end(kept)
    assert not processes.is_alive(kept)


def test_a_server_that_has_overwritten_its_environment_is_known_by_its_folder(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path, env={}) as nameless:
        try:
            assert eventually(lambda: [p.pid for p in processes.inside(tmp_path)] == [nameless.pid])
        finally:
            nameless.kill()
