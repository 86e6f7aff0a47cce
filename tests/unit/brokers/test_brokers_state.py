from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from ipclab.brokers import keeper, processes, state
from ipclab.brokers.processes import ProcessId
from ipclab.brokers.state import NativeRecord
from ipclab.errors import BrokerUnavailableError
from tests.support.servers import unavailable

GONE = msgspec.structs.replace(processes.this_process(), pid=2**22 - 1, start_ticks=1)


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
    assert state.sweep() == []


def test_a_sweep_ends_the_servers_of_a_lab_that_is_gone(spawn: Callable[..., ProcessId]) -> None:
    left_over = spawn()
    folder = state.create("redis", server(GONE, left_over))
    assert len(state.sweep()) == 1
    assert not processes.is_alive(left_over)
    assert not folder.exists()


def test_a_sweep_leaves_alone_what_a_living_lab_uses(spawn: Callable[..., ProcessId]) -> None:
    used = spawn()
    state.create("redis", server(processes.this_process(), used))
    assert state.sweep() == []
    assert processes.is_alive(used)


def test_a_sweep_leaves_alone_what_has_no_owner(spawn: Callable[..., ProcessId]) -> None:
    lasting = spawn()
    state.create("redis", server(None, lasting))
    assert state.sweep() == []
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
    earlier = msgspec.structs.replace(stranger, start_ticks=stranger.start_ticks - 1)
    state.create("redis", server(GONE, earlier))
    assert len(state.sweep()) == 1
    assert processes.is_alive(stranger)


def test_a_sweep_ends_a_server_that_was_started_but_not_yet_noted(spawn: Callable[..., ProcessId]) -> None:
    folder = state.create("redis", server(GONE))
    unnoted = spawn(folder, home=folder)
    assert len(state.sweep()) == 1
    # One that had not yet entered its folder finds none, and ends by itself.
    assert eventually(lambda: not processes.is_alive(unnoted))


def test_a_sweep_ends_a_server_that_enters_its_folder_just_before_the_folder_is_deleted(
    spawn: Callable[..., ProcessId], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = state.create("redis", server(GONE))
    late: list[ProcessId] = []
    remove = state.remove

    def after_it_entered(path: Path) -> None:
        if not late:
            late.append(spawn(path, home=path))
            assert eventually(lambda: [p.pid for p in processes.inside(path)] == [late[0].pid])
        remove(path)

    monkeypatch.setattr(state, "remove", after_it_entered)
    assert len(state.sweep()) == 1
    assert not processes.is_alive(late[0])
    assert not folder.exists()


def test_who_looks_into_the_folder_of_a_server_outlives_its_end(spawn: Callable[..., ProcessId]) -> None:
    folder = state.create("redis", server(GONE))
    looking = spawn(folder)
    assert eventually(lambda: Path(f"/proc/{looking.pid}/cwd").resolve() == folder)
    assert len(state.sweep()) == 1
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


SWEEP = "from ipclab.brokers import state; print(len(state.sweep()))"


def in_namespace(*command: str) -> str:
    """Run a command behind ``unshare`` with these arguments; skip where the system does not allow it."""
    unshare = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    # ``unshare`` makes the mounts private by way of "/", which is no mount in a chroot. Where none is shared
    # with another namespace, that step is not needed.
    if " shared:" not in Path("/proc/self/mountinfo").read_text():
        unshare += ["--propagation", "unchanged"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*unshare, "--mount", "--pid", "--fork", "true"]).returncode
    ):
        unavailable("no namespaces here: unshare (util-linux) is missing or not allowed")
    return subprocess.run([*unshare, *command], capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_step_of_the_wall_clock_leaves_the_servers_of_a_running_lab_alone(
    spawn: Callable[..., ProcessId], tmp_path: Path
) -> None:
    used = spawn()
    folder = state.create("redis", server(processes.this_process(), used))
    set_back = tmp_path / "stat"
    really = Path("/proc/stat").read_text()
    set_back.write_text(re.sub(r"btime \d+", "btime 1000000000", really))
    script = 'mount --bind "$0" /proc/stat && exec "$@"'
    told = in_namespace("--mount", "sh", "-c", script, str(set_back), sys.executable, "-c", SWEEP)
    assert told == "0\n"
    assert processes.is_alive(used)
    assert folder.exists()


def test_what_a_lab_of_another_pid_namespace_uses_is_left_alone(spawn: Callable[..., ProcessId]) -> None:
    used, lasting = spawn(), spawn()
    folders = [
        state.create("redis", server(processes.this_process(), used)),
        state.create("redis", server(None, lasting)),
    ]
    ending = "; [state.end(*one) for one in state.records()]"
    told = in_namespace("--mount", "--pid", "--fork", "--mount-proc", sys.executable, "-c", SWEEP + ending)
    assert told == "0\n"
    assert all(folder.exists() for folder in folders)
    assert processes.is_alive(used)
    assert processes.is_alive(lasting)


def test_what_a_lab_left_before_this_machine_was_booted_is_swept() -> None:
    earlier = msgspec.structs.replace(processes.this_process(), boot="another")
    folder = state.create("redis", server(earlier, earlier))
    assert len(state.sweep()) == 1
    assert not folder.exists()


def test_what_another_machine_shares_is_left_alone() -> None:
    elsewhere = msgspec.structs.replace(processes.this_process(), boot="another", host="another")
    folder = state.create("redis", server(elsewhere, elsewhere))
    assert state.sweep() == []
    assert folder.exists()


def test_a_folder_of_somebody_else_with_the_usual_name_does_not_stop_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IPCLAB_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own"))
    usual = state._usual_homes()
    assert usual[0].parent in (Path("/var/tmp"), Path("/tmp"))
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    blocked.chmod(0o777)
    monkeypatch.setattr(state, "_usual_homes", lambda: [blocked, *usual[1:]])
    assert state.home() == tmp_path / "own" / "ipclab"
    assert stat.S_IMODE(state.home().stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ['with "quotes"', "it's", "a*", "new\nline", "a\\b", "$HOME"])
def test_a_state_folder_whose_path_servers_cannot_take_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path / name))
    with pytest.raises(BrokerUnavailableError, match="set IPCLAB_STATE_DIR to a folder whose path") as caught:
        state.home()
    assert "\n" not in str(caught.value)


def test_the_environment_of_a_keeper_holds_no_address_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    kept = keeper.start()
    try:
        assert eventually(lambda: "IPCLAB_STATE_DIR" in psutil.Process(kept.pid).environ())
        assert "secret" not in str(psutil.Process(kept.pid).environ())
        assert processes.is_alive(kept)
    finally:
        processes.end([kept])


def test_a_server_that_dies_with_its_lab_dies_by_the_kernel_when_lab_and_keeper_are_killed(
    tmp_path: Path,
) -> None:
    program = (
        "import os, sys, time; from pathlib import Path; from ipclab.brokers import processes\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        f"one = processes.spawn(sleep, folder=Path({str(tmp_path)!r}), log=Path(os.devnull),\n"
        "                       env=dict(os.environ), dies_with_caller=True)\n"
        "print(one.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as lab:
        assert lab.stdout is not None
        started = processes.identify(int(lab.stdout.readline()))
        assert processes.is_alive(started)
        lab.kill()
    assert eventually(lambda: not processes.is_alive(started))
