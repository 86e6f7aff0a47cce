"""The supervisor of child processes: start, hear, look into, end, whatever the child does."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ipclab
from ipclab.errors import ChannelError
from ipclab.exit_codes import ChildExit
from ipclab.host import child, supervisor
from ipclab.host.child import Manner
from ipclab.host.interruptions import EndedBySignal
from ipclab.host.link import Link
from ipclab.host.start_methods import StartMethod
from ipclab.host.supervisor import Child
from tests.support.processes import crash, is_running, wait_until_gone

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left")]
WITHIN_S = 30.0
EACH_METHOD = pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])


@pytest.fixture
def start(tmp_path: Path, nothing_left: None) -> Iterator[Callable[..., Child]]:
    started: list[Child] = []

    def begin(
        function: Callable[..., Any], *args: Any, method: StartMethod = "fork", **settings: Any
    ) -> Child:
        manner = Manner(name=f"child-{len(started)}", folder=tmp_path, start_method=method, **settings)
        started.append(supervisor.start(method, manner, function, args))
        return started[-1]

    yield begin
    supervisor.reap(started)


def heard(child: Child, condition: Callable[[], object]) -> bool:
    """Listen until the condition holds, and return whether it does."""
    deadline = time.monotonic() + WITHIN_S
    while not condition() and (left_s := deadline - time.monotonic()) > 0:
        supervisor.listen([child], left_s)
    return bool(condition())


def add(link: Link, one: int, other: int) -> int:
    return one + other


def echo(link: Link) -> None:
    link.send(("heard", link.recv()))


def sleep(link: Link) -> None:
    threading.Event().wait()


def leave(link: Link, code: int) -> None:
    os._exit(code)


def call_exit(link: Link, code: int) -> None:
    sys.exit(code)


def interrupt(link: Link) -> None:
    raise KeyboardInterrupt


def kill_itself(link: Link) -> None:
    crash()


def leave_a_process_behind(link: Link) -> int:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False).pid


@EACH_METHOD
def test_a_child_begins_returns_and_ends(start: Callable[..., Child], method: StartMethod) -> None:
    child = start(add, 3, 4, method=method)

    assert heard(child, lambda: child.ended)
    assert child.began
    assert child.returned is not None
    assert (child.returned.value, child.exit_code, child.fault) == (7, 0, "")


def test_a_child_and_its_parent_talk(start: Callable[..., Child]) -> None:
    child = start(echo)
    assert child.tell("good morning")
    assert heard(child, lambda: child.inbox)
    assert child.inbox.popleft() == ("heard", "good morning")


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        (leave, (7,), "ended with exit code 7"),
        (leave, (0,), "ended with exit code 0 in the middle"),
        (call_exit, (0,), "SystemExit: it called sys.exit(0)"),
        (interrupt, (), "KeyboardInterrupt"),
        (kill_itself, (), "was killed by SIGSEGV"),
        (add, (1,), "TypeError: add() missing 1 required positional argument: 'other'"),
    ],
)
def test_every_end_but_a_return_is_a_fault_with_its_name(
    start: Callable[..., Child], function: Callable[..., Any], arguments: tuple[int, ...], says: str
) -> None:
    child = start(function, *arguments)

    assert heard(child, lambda: child.ended)
    assert child.fault == says


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the end is polled for")
def test_a_child_has_ended_although_a_process_that_it_started_holds_its_pipes(
    start: Callable[..., Child],
) -> None:
    child = start(leave_a_process_behind)
    try:
        assert heard(child, lambda: child.ended)
        assert child.fault == ""
        assert child.wait_for_end(0)
        assert child.returned is not None
        assert is_running(child.returned.value)
    finally:
        assert child.returned is not None
        os.kill(child.returned.value, signal.SIGKILL)
        wait_until_gone({child.returned.value})


class Signalled:
    """A link of which each message is read in two parts, with Ctrl-C between them."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def recv(self) -> Any:
        message = self._link.recv()
        signal.raise_signal(signal.SIGINT)
        return message


def test_a_signal_in_the_middle_of_a_message_does_not_lose_it(start: Callable[..., Child]) -> None:
    child = start(echo)
    assert heard(child, lambda: child.began)
    child.link = Signalled(child.link)
    child.tell("good morning")
    with pytest.raises(KeyboardInterrupt):
        heard(child, lambda: child.ended)
    assert child.inbox.popleft() == ("heard", "good morning")


def test_a_look_tells_the_place_and_leaves_the_child_alone(start: Callable[..., Child]) -> None:
    child = start(sleep)
    assert heard(child, lambda: child.began)
    deadline = time.monotonic() + WITHIN_S
    while " in wait\n" not in (seen := child.look_asleep() + "\n") and time.monotonic() < deadline:
        pass
    assert " in wait\n" in seen
    assert child.alive


def test_the_final_stack_ends_the_child(start: Callable[..., Child]) -> None:
    child = start(sleep)
    assert heard(child, lambda: child.began)
    assert "Current thread" in child.end_with_stack(WITHIN_S)
    assert not child.alive


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_arguments_that_cannot_be_pickled_are_told_in_one_line(
    start: Callable[..., Child], method: StartMethod
) -> None:
    with pytest.raises(ChannelError, match=f"cannot be started by {method}: its arguments cannot be pickled"):
        start(add, threading.Lock(), 1, method=method)


def test_a_child_takes_no_handler_of_its_parent_with_it(start: Callable[..., Child]) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        child = start(sleep)
        assert heard(child, lambda: child.began)
        child.signal(signal.SIGTERM)
        assert heard(child, lambda: child.ended)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert child.fault == "was killed by SIGTERM"


UNGUARDED = """
from pathlib import Path
from ipclab.host import supervisor
from ipclab.host.child import Manner
from tests.unit.host.test_supervisor import add

manner = Manner(name="one", folder=Path({folder!r}), start_method="spawn")
child = supervisor.start("spawn", manner, add, (1, 2))
while not child.ended:
    supervisor.listen([child], 30)
print(child.fault)
child.end()
"""


def test_a_program_that_is_not_guarded_is_told_so_and_starts_nothing_twice(tmp_path: Path) -> None:
    program = tmp_path / "unguarded.py"
    program.write_text(UNGUARDED.format(folder=str(tmp_path)))
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert "guard what it runs by: if __name__ == '__main__'" in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.count("ipclab: the program starts ipclab while it is imported") == 1


OWN_WAY = ("host/supervisor.py", "host/clock.py", "faults/proxy/handle.py")
"""The supervisor; the self-test of the clock, whose child only answers; the proxy, which is a server."""
PROGRAMS = ("trial/client/", "trial/threads/", "choose/snippets/")
"""Programs of a user, and what is compared with one: they start processes as a user does."""


def test_no_other_module_starts_a_child_by_itself() -> None:
    package = Path(ipclab.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        name = str(path.relative_to(package))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and any(keyword.arg == "target" for keyword in node.keywords):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called == "Process" and not name.startswith(PROGRAMS):
                    found.add(name)
    assert found == set(OWN_WAY)


def end_when_told(_link: Link) -> None:
    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise EndedBySignal(number)

    signal.signal(signal.SIGTERM, leave)


def test_an_order_to_end_that_comes_when_the_function_has_returned_prints_no_traceback(
    start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    exit_now = child._exit_now

    def exit_after_the_order(code: ChildExit) -> None:
        signal.raise_signal(signal.SIGTERM)
        exit_now(code)

    monkeypatch.setattr(child, "_exit_now", exit_after_the_order)
    told = start(end_when_told, leaves_at_once=True)
    assert heard(told, lambda: told.ended)
    assert told.exit_code == ChildExit.GAVE_UP
    assert capfd.readouterr().err == ""
