"""Where the program of a PostgreSQL server is looked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipclab.brokers import kinds, native, processes, programs
from ipclab.brokers.kinds.postgres import private
from ipclab.errors import BrokerUnavailableError


def test_the_newest_version_is_found_off_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("9", "15", "16"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in ("postgres", "initdb") if version != "16" else ("postgres",):
            (folder / name).touch(mode=0o755)
    monkeypatch.setattr(private, "_FOLDERS", (f"{tmp_path}/*/bin",))
    monkeypatch.setattr(programs, "find", lambda _: None)
    assert private.find_program() == f"{tmp_path}/15/bin/postgres", "16 has no initdb, and 15 is above 9"


def test_root_without_user_namespaces_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "find", lambda _: "/bin/false")
    private._apart.cache_clear()
    try:
        with pytest.raises(BrokerUnavailableError, match="does not run as root"):
            kinds.get("postgres").plan("/nowhere/postgres", tmp_path)
    finally:
        private._apart.cache_clear()


def test_a_server_that_cannot_be_configured_is_missing_and_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(program: str, folder: Path) -> None:
        raise BrokerUnavailableError("PostgreSQL does not run as root")

    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(private, "plan", refuse)
    monkeypatch.setattr(private, "find_program", lambda: "/nowhere/postgres")
    ready, failed = native.start(["postgres"], owner=processes.this_process(), on_event=lambda _: None)
    assert not ready
    assert failed == {"postgres": "PostgreSQL does not run as root"}
    assert list((tmp_path / "state").iterdir()) == []
