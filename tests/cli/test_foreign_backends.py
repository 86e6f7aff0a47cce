"""Backends of other packages that answer, print, exit or declare what they must not: each is one failed row
or one line, and the run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.program import Ended, Ipclab

PACKAGE = '''
import ctypes, os, sys, threading
from ipclab.backends.base import Consumer, CounterClient, Counter, Option, Producer
from ipclab.backends.local.mutex import ValueMutex
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.shared import MutexClient


class Int64(int):
    """As numpy.int64: looks like a number and is none of JSON's."""


class Longer(bytes):
    def __len__(self):
        return super().__len__() + 1


ANSWERS = {
    "empty": lambda bodies: [],
    "many": lambda bodies: bodies * 500,
    "memoryview": lambda bodies: [memoryview(body) for body in bodies],
    "longer": lambda bodies: [Longer(body) for body in bodies],
    "bare": lambda bodies: bodies[0],
    "none": lambda bodies: None,
    "generator": lambda bodies: (body for body in bodies),
    "text": lambda bodies: [body.decode("latin-1") for body in bodies],
}


class Odd(Consumer):
    def __init__(self, inner, answer):
        self.inner, self.answer = inner, answer

    def receive(self):
        return ANSWERS[self.answer](self.inner.receive())


class OddChannel(SimpleQueueChannel):
    name = "odd"
    summary = "answers what is not allowed"
    options = (Option("answer", "empty", "what receive() returns", (*ANSWERS, "no-consumer", "pids",
               "first-pid", "own-pid", "exit", "exit-teardown", "exit-send", "unpicklable", "child",
               "prints")),)

    @property
    def answer(self):
        return self.chosen["answer"]

    def setup(self):
        super().setup()
        if self.answer == "exit":
            sys.exit(0)
        if self.answer == "unpicklable":
            self.lock = threading.Lock()
        if self.answer == "prints":
            print("PRINTED in setup")
            os.system("echo PRINTED by a program")

    def teardown(self):
        super().teardown()
        if self.answer == "exit-teardown":
            sys.exit(0)

    def server_pids(self):
        wrong = {"pids": ("1",), "first-pid": (1,), "own-pid": (os.getpid(),)}
        return wrong.get(self.answer, ())

    def producer(self, index):
        if self.answer == "child":
            import multiprocessing
            multiprocessing.Process(target=print).start()
        if self.answer == "prints":
            print("PRINTED in a worker", flush=True)
            ctypes.CDLL(None).puts(b"PRINTED by C")
            ctypes.CDLL(None).fflush(None)
        if self.answer == "exit-send":
            sys.exit(0)
        return super().producer(index)

    def consumer(self, index):
        inner = super().consumer(index)
        if self.answer == "no-consumer":
            return None
        return Odd(inner, self.answer) if self.answer in ANSWERS else inner


NUMBERS = {"int64": Int64(3), "float": 2.0, "none": None, "bool": True, "huge": 2**80}


class OddNumber(CounterClient):
    def __init__(self, inner, answer):
        self.inner, self.answer = inner, answer

    def increment(self):
        with self.inner.get_lock():
            self.inner.value += 1

    def read(self):
        return NUMBERS[self.answer]


class OddCounter(Counter):
    name = "oddcounter"
    summary = "reads what is no number"
    options = (Option("discipline", "int64", "what read() returns", tuple(NUMBERS)),)
    safe, reach = True, "process tree"

    def setup(self):
        self.value = self.site.context.Value("q", 0)

    def teardown(self):
        pass

    def client(self, index):
        return OddNumber(self.value, self.discipline)

    def held_client(self, index, pause):
        return None


TOKENS = {"true": True, "float": 1.5, "text": "token"}


class OddHolder(MutexClient):
    def __init__(self, inner, answer):
        self.inner, self.answer = inner, answer

    def acquire(self):
        self.inner.acquire()
        return TOKENS[self.answer]

    def release(self):
        self.inner.release()


class OddMutex(ValueMutex):
    name = "oddmutex"
    summary = "its acquire() returns what is no token"
    options = (Option("discipline", "true", "what acquire() returns", tuple(TOKENS)),)
    safe = True

    def client(self, index):
        told, self.chosen = self.chosen["discipline"], {"discipline": "lock"}
        return OddHolder(super().client(index), told)

    def held_client(self, index, pause):
        return None
'''
POINTS = """[ipclab.backends]
odd = ipclab_odd:OddChannel
oddcounter = ipclab_odd:OddCounter
oddmutex = ipclab_odd:OddMutex
"""
QUICK = ("--duration", "0.2", "--warmup", "0.05", "--repeats", "1", "--format", "json")


def installed(folder: Path, points: str = POINTS, module: str = PACKAGE) -> dict[str, str]:
    """Put the package where the program finds it; the environment that says so."""
    info = folder / "ipclab_odd-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ipclab-odd\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    (folder / "ipclab_odd.py").write_text(module)
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
def odd(tmp_path: Path) -> dict[str, str]:
    return installed(tmp_path / "site")


def reasons(ended: Ended) -> dict[str, str]:
    """Why each backend's row has no figure, by backend; the run itself must have come to its end."""
    assert "this is a bug in ipclab" not in ended.err, ended.err
    assert "Traceback" not in ended.err, ended.err
    report = json.loads(ended.out)
    return {row["backend"]: " ".join(row["reasons"]) for row in report["rows"]}


WRONG = {
    "empty": "receive() returned 0 bodies; the contract allows 1 to 1",
    "many": "receive() returned 500 bodies; the contract allows 1 to 1",
    "memoryview": "receive() returned memoryview",
    "longer": "receive() returned ipclab_odd.Longer",
    "bare": "receive() returned bytes",
    "none": "receive() returned None",
    "generator": "receive() returned generator",
    "text": "receive() returned str",
    "no-consumer": "consumer(0) returned None, which is no Consumer",
    "pids": "server_pids() must be a tuple of process ids",
    "first-pid": "odd: server_pids() must name helper processes that setup() has started; it returned 1, ",
    "own-pid": "odd: server_pids() must name helper processes that setup() has started; it returned ",
    "exit": "it called sys.exit(0)",
    "exit-teardown": "it called sys.exit(0)",
    "exit-send": "it called sys.exit(0)",
}
SMALL = ("--producers", "1", "--consumers", "1", "--size", "64")


def test_a_wrong_answer_of_a_channel_is_a_failed_row_and_the_run_goes_on(
    ipclab: Ipclab, odd: dict[str, str]
) -> None:
    asked = [word for answer in WRONG for word in ("-b", f"odd:answer={answer}")]
    ended = ipclab("run", "throughput", *asked, "-b", "pipe", *SMALL, *QUICK, **odd)
    told = reasons(ended)
    assert {answer: said for answer, said in WRONG.items() if said not in told[f"odd:answer={answer}"]} == {}
    assert not told["pipe"]
    assert ended.code == 3


def test_a_wrong_answer_of_a_counter_or_a_lock_is_a_failed_row_and_the_run_goes_on(
    ipclab: Ipclab, odd: dict[str, str]
) -> None:
    asked = ("-b", "oddcounter", "-b", "oddmutex", "-b", "value:discipline=locked")
    ended = ipclab("run", "race", *asked, "--producers", "1", *QUICK, **odd)
    told = reasons(ended)
    for name in ("int64", "float", "none", "bool", "huge"):
        assert "oddcounter: read() returned" in told[f"oddcounter:discipline={name}"]
        assert "; the contract allows an int" in told[f"oddcounter:discipline={name}"]
    for name in ("true", "float", "text"):
        assert "oddmutex: acquire() returned" in told[f"oddmutex:discipline={name}"]
    assert not told["value:discipline=locked"]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_channel_that_cannot_be_pickled_is_told_in_one_line(
    ipclab: Ipclab, odd: dict[str, str], method: str
) -> None:
    asked = ("-b", "odd:answer=unpicklable", "-b", "pipe", "--start-method", method)
    told = reasons(ipclab("run", "throughput", *asked, *SMALL, *QUICK, **odd))
    line = f"odd cannot be sent to its workers with the start method {method}: TypeError: cannot pickle"
    assert line in told["odd:answer=unpicklable"]
    assert not told["pipe"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_a_backend_prints_is_never_in_the_data(ipclab: Ipclab, odd: dict[str, str], method: str) -> None:
    ended = ipclab(
        "run", "throughput", "-b", "odd:answer=prints", *SMALL, *QUICK, "--start-method", method, **odd
    )
    assert json.loads(ended.out)["rows"]
    assert "PRINTED" not in ended.out
    for where in ("in setup", "by a program", "in a worker", "by C"):
        assert f"PRINTED {where}" in ended.err


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import sys; sys.exit(0)", "it called sys.exit(0)"),
        ("import nowhere", "No module named 'nowhere'"),
        ("print('PRINTED'); raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    ],
)
def test_a_package_that_cannot_be_imported_harms_no_other_backend(
    ipclab: Ipclab, tmp_path: Path, module: str, said: str
) -> None:
    environ = installed(tmp_path / "site", module=module)
    ended = ipclab("run", "throughput", "-b", "pipe", *SMALL, *QUICK, **environ)
    assert ended.code == 0
    assert [row["backend"] for row in json.loads(ended.out)["rows"]] == ["pipe"]
    named = ipclab("run", "throughput", "-b", "odd", **environ)
    assert named.code == 2
    assert named.out == ""
    assert said in named.err.splitlines()[-1]
    for command in ("backends", "doctor"):
        listed = ipclab(command, **environ)
        assert listed.code == 0
        assert "broken" in listed.out
        assert said.split()[0] in listed.out


ENDINGS = {
    "import os; os._exit(0)": "it ended with exit code 0",
    "import ctypes; ctypes.string_at(0)": "it was killed by SIGSEGV",
    "raise KeyboardInterrupt": "it raises KeyboardInterrupt",
    "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 30)); time.sleep(600)": (
        "it does not return"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_package_that_ends_or_holds_its_process_when_it_is_imported_is_told_in_one_line(
    ipclab: Ipclab, tmp_path: Path, ending: str
) -> None:
    environ = installed(tmp_path / "site", module=ending)
    ended = ipclab("run", "throughput", "-b", "odd", *QUICK, **environ)
    said = f"the backend odd (ipclab_odd:OddChannel) cannot be imported and made: {ENDINGS[ending]}"
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_a_package_that_ends_its_process_when_its_backend_is_made_harms_no_other_backend(
    ipclab: Ipclab, tmp_path: Path
) -> None:
    module = PACKAGE + "\n\nOddChannel.__init__ = lambda *a, **k: os._exit(0)\n"
    environ = installed(tmp_path / "site", module=module)
    ended = ipclab("run", "throughput", "-b", "pipe", *SMALL, *QUICK, **environ)
    assert reasons(ended) == {"pipe": ""}
    named = ipclab("run", "throughput", "-b", "odd", *QUICK, **environ)
    assert named.code == 2
    assert "cannot be imported and made: it ended with exit code 0" in named.err


def test_a_backend_that_leaves_its_process_no_files_to_open_is_a_failed_row(
    ipclab: Ipclab, tmp_path: Path
) -> None:
    module = PACKAGE.replace(
        "        super().setup()\n",
        "        super().setup()\n        import resource\n"
        "        resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))\n",
        1,
    )
    environ = installed(tmp_path / "site", module=module)
    rows = reasons(ipclab("run", "throughput", "-b", "odd", "-b", "pipe", *SMALL, *QUICK, **environ))
    assert "may open no more files" in rows["odd"]
    assert not rows["pipe"]
