"""The file of a claim is run by itself, and whatever it does, nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ipclab.claims import session, supervisor
from ipclab.claims.outcome import Measured
from tests.support.processes import is_running, wait_until_gone

CLAIM = '''
import os, signal, subprocess, sys, time
import msgspec, psutil
from ipclab.claims import Bench, Claim, NotRunError, Row, Source, Text, holds
from ipclab.program import main_of_claim

class Evidence(msgspec.Struct, frozen=True):
    value: int

def note_pid(folder):
    open(os.path.join(folder, f"pid-{{os.getpid()}}"), "w").close()

def orphan(folder):
    """A process whose parent goes away, and that does not listen to polite requests."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code])
    open(os.path.join(folder, f"pid-{{process.pid}}"), "w").close()
    os._exit(0)

def sleep(folder):
    note_pid(folder)
    time.sleep(600)

def runs(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE

def clean(bench):
    """Tells what is to be cleaned, and how many of the experiment's processes still run."""
    running = [name for name in os.listdir({folder!r}) if runs(int(name.removeprefix("pid-")))]
    with open({folder!r} + "-cleaned", "a") as file:
        print(bench.namespace, len(running), file=file)

def fail(bench):
    raise OSError("the server is gone")

def experiment(bench):
    folder = {folder!r}
    open(folder + "-named", "w").write(bench.namespace)
    note_pid(folder)
    bench.start(sleep, folder)
    bench.start(orphan, folder)
    while len(os.listdir(folder)) < 3:
        time.sleep(0.01)
    bench.timeline("all are there")
    {then}
    return Evidence(7)

text = Text("It is so.", "是这样。")
CLAIM = Claim(
    number=1, section="processes", statement=text, evidence=Evidence, experiment=experiment,
    verdict=lambda seen: holds("so", "是"), show=lambda seen: [Row(text, str(seen.value))],
    practice=text, sources=(Source("x", "https://example.org"),), recorded={{"linux": "holds"}},
    clean={clean},
)
if __name__ == "__main__":
    main_of_claim(CLAIM)
'''
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the processes of the claim leave their pids."""
    made = tmp_path / "pids"
    made.mkdir()
    return made


@pytest.fixture
def write(tmp_path: Path, folder: Path) -> Iterator[Write]:
    """Writes a claim that starts a child and an orphan and then does something; none of them survives."""

    def written(then: str, clean: str = "None") -> Path:
        return write_claim(tmp_path, folder, then, clean)

    yield written
    found = pids(folder)
    assert found
    assert not wait_until_gone(found)


def write_claim(where: Path, folder: Path, then: str, clean: str) -> Path:
    path = where / "made_up.py"
    path.write_text(CLAIM.format(folder=str(folder), then=then, clean=clean))
    return path


class Ended(NamedTuple):
    """An experiment that was ended, and which of its processes ran when ``measure()`` came back."""

    measured: Measured
    folder: Path
    left: set[int]


@pytest.fixture(scope="module")
def timed_out(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """An experiment that hangs, when its time is over."""
    where = tmp_path_factory.mktemp("hangs")
    folder = where / "pids"
    folder.mkdir()
    measured = measure(write_claim(where, folder, "time.sleep(600)", "clean"), limit_s=5)
    return Ended(measured, folder, {pid for pid in pids(folder) if is_running(pid)})


def measure(path: Path, limit_s: float = supervisor.LIMIT_S) -> Measured:
    """What comes of a claim that leaves nothing to note."""
    return supervisor.measure(path, note=pytest.fail, limit_s=limit_s)


def pids(folder: Path) -> set[int]:
    return {int(path.name.removeprefix("pid-")) for path in folder.iterdir()}


def cleaned(folder: Path) -> list[str]:
    """What was cleaned, and how many processes of the experiment still ran."""
    file = folder.with_name("pids-cleaned")
    return file.read_text().splitlines() if file.exists() else []


def named(folder: Path) -> str:
    """What the experiment called its things on servers."""
    return folder.with_name("pids-named").read_text()


def test_the_evidence_and_the_timeline_come_back(write: Write) -> None:
    measured = measure(write("pass"))
    assert measured.evidence == {"value": 7}
    assert [event.what for event in measured.timeline] == ["all are there"]
    assert measured.seconds > 0


def test_all_processes_have_ended_when_it_comes_back(write: Write, folder: Path) -> None:
    measure(write("pass"))
    assert not {pid for pid in pids(folder) if is_running(pid)}


@pytest.mark.slow
def test_an_experiment_that_hangs_is_ended_with_all_of_its_processes(timed_out: Ended) -> None:
    assert timed_out.measured.evidence is None
    assert timed_out.measured.failure.startswith("not done within 5 s")
    assert re.search(r'made_up\.py", line \d+ in experiment', timed_out.measured.failure)
    assert pids(timed_out.folder)
    assert not timed_out.left


def test_an_experiment_that_raises_says_where(write: Write) -> None:
    measured = measure(write("raise ValueError('no luck')"))
    assert "ValueError: no luck" in measured.failure
    assert "made_up.py" in measured.failure


def test_an_experiment_that_cannot_be_run_here_says_why(write: Write) -> None:
    measured = measure(write("raise NotRunError('there is no moon')"))
    assert (measured.not_run, measured.failure) == ("there is no moon", "")


def test_an_experiment_that_dies_fails_with_what_it_said_last(write: Write) -> None:
    measured = measure(write("print('last words', flush=True); os._exit(5)"))
    assert measured.failure == "ended with 5\nlast words"


def test_evidence_that_is_no_plain_data_fails_the_experiment(write: Write) -> None:
    assert "TypeError" in measure(write("return Evidence(bench)")).failure


@pytest.mark.parametrize(
    "then",
    ["pass", "raise ValueError('no luck')", "os._exit(5)", "os.kill(os.getpid(), signal.SIGKILL)"],
)
def test_what_it_left_on_servers_is_cleaned_once_however_it_ends(
    write: Write, folder: Path, then: str
) -> None:
    measure(write(then, clean="clean"))
    assert cleaned(folder) == [f"{named(folder)} 0"]


def test_what_it_left_on_servers_is_cleaned_when_its_time_is_over(timed_out: Ended) -> None:
    assert cleaned(timed_out.folder) == [f"{named(timed_out.folder)} 0"]


def test_each_experiment_has_names_of_its_own_on_servers(write: Write, folder: Path) -> None:
    path = write("pass", clean="clean")
    measure(path)
    measure(path)
    first, second = cleaned(folder)
    assert first != second
    assert first.startswith("ipclab:claim-")


def test_what_could_not_be_cleaned_is_noted_and_not_printed(
    write: Write, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    notes: list[str] = []
    assert supervisor.measure(write("pass", clean="fail"), note=notes.append).evidence == {"value": 7}
    assert notes == [f"made_up may have left keys or queues on a server: delete {named(folder)}:…"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_one_who_asked_is_ended(
    write: Write, folder: Path, tmp_path: Path, sign: signal.Signals
) -> None:
    path = write("time.sleep(600)", clean="clean")
    code = (
        "import pathlib; from ipclab.claims.supervisor import measure; "
        f"measure(pathlib.Path({str(path)!r}), note=print)"
    )
    if sign == signal.SIGTERM:
        code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)); " + code
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environ = {**os.environ, "TMPDIR": str(temporary)}
    asking = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, env=environ)
    deadline = time.monotonic() + 30
    try:
        while len(pids(folder)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        asking.send_signal(sign)
        asking.wait(30)
        assert not wait_until_gone(pids(folder))
        while list(temporary.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        asking.kill()
        asking.wait()
        for pid in pids(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert [line.split()[0] for line in cleaned(folder)] == [named(folder)]


def test_the_end_of_a_session_spares_the_others_and_the_one_who_asks() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    own = subprocess.Popen(command)
    other = subprocess.Popen(command, start_new_session=True)
    try:
        session.end(other.pid)
        other.wait(30)
        assert own.poll() is None
        assert session.members(other.pid) == []
    finally:
        own.kill()
        own.wait()


def test_the_processes_of_a_session_are_told() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    other = subprocess.Popen(command, start_new_session=True)
    try:
        assert session.members(other.pid) == [other.pid]
        assert os.getsid(other.pid) == other.pid
    finally:
        other.kill()
        other.wait()
