"""Reading stacks by py-spy: what it refuses, and what is not Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ipclab.errors import UsageError
from ipclab.stuck import spy, tasks
from ipclab.stuck.facts import Thing


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """Put a py-spy in place that fails with this text."""
    program = folder / "py-spy"
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(spy, "program", lambda: str(program))


def test_a_refused_process_is_one_line_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, "Error: Permission Denied: Try running again with elevated permissions")

    with pytest.raises(spy.RefusedError, match=r"process 4711: .*sudo.*ptrace_scope.*SYS_PTRACE") as refused:
        spy.threads(4711)
    assert "\n" not in str(refused.value)


def test_a_stack_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, "Error: Failed to get stack trace")
    monkeypatch.setattr(spy, "TRIES", 2)

    with pytest.raises(ValueError, match="2 times"):
        spy.threads(4711)


def test_the_files_of_a_process_in_a_container_are_read_where_it_has_them(tmp_path: Path) -> None:
    file = tmp_path / "usr" / "lib" / "python3.14" / "multiprocessing" / "queues.py"
    file.parent.mkdir(parents=True)
    file.write_text("class Queue:\n    def get(self):\n        with self._rlock: pass\n")
    dump = (
        '[{"thread_name": "MainThread", "os_thread_id": 7, "frames": '
        '[{"name": "Queue.get", "filename": "/usr/lib/python3.14/multiprocessing/queues.py", "line": 3}]}]'
    )

    (thread,) = spy.parse(dump.encode(), str(tmp_path))

    (frame,) = thread.frames
    assert (frame.name, frame.source.strip()) == ("Queue.get", "with self._rlock: pass")


@pytest.mark.parametrize("path", ["/dev/shm/sem.mp-x (deleted)", "/sem.mp-x (deleted)", "/c/dev/shm/sem.a"])
def test_a_semaphore_is_known_under_the_path_that_it_has_in_any_container(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(tasks, "mappings", lambda _pid: [(0x1000, 0x2000, 0, 42, path)])

    assert tasks._lock(1, 0x1010) == Thing("semaphore", "42+16", "release")


def test_without_py_spy_the_error_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spy.shutil, "which", lambda _name: None)
    monkeypatch.setattr(spy.sys, "executable", "/nowhere/python")

    with pytest.raises(UsageError, match=r"pip install 'ipclab\[hang\]'"):
        spy.program()


def test_a_program_that_is_not_python_has_no_stack() -> None:
    with subprocess.Popen(["sleep", "60"]) as program:
        try:
            with pytest.raises(ValueError, match=r"."):
                spy.threads(program.pid)
        finally:
            program.kill()
