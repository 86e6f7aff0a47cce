"""Limits of control groups, of both versions, of the lab's own group and of those above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipclab.host import limits


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the control groups, without any limit."""
    monkeypatch.setattr(limits, "_ROOT", tmp_path / "groups")
    monkeypatch.setattr(limits, "_MEMBERSHIP", tmp_path / "membership")
    (tmp_path / "membership").write_text("")
    (tmp_path / "groups").mkdir()
    return tmp_path / "groups"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_without_groups_there_is_no_limit(groups: Path) -> None:
    assert limits.cpu_limit() is None
    assert limits.process_limit() is None
    assert limits.memory_limit_bytes() is None


def test_the_smallest_limit_of_the_groups_above_counts(groups: Path) -> None:
    limits._MEMBERSHIP.write_text("0::/a/b\n")
    write(groups / "a" / "cpu.max", "50000 100000\n")
    write(groups / "a" / "b" / "cpu.max", "max 100000\n")
    write(groups / "a" / "pids.max", "100\n")
    write(groups / "a" / "b" / "pids.max", "40\n")
    write(groups / "memory.max", "max\n")
    write(groups / "a" / "b" / "memory.max", "1024\n")
    assert limits.cpu_limit() == 0.5
    assert limits.process_limit() == 40
    assert limits.memory_limit_bytes() == 1024


def test_version_1_has_a_folder_for_each_controller(groups: Path) -> None:
    limits._MEMBERSHIP.write_text("4:cpu,cpuacct:/docker/1\n3:pids:/docker/1\n2:memory:/docker/1\n")
    # As in a container: the group's path is that of the host, and the mounted root is the container's.
    write(groups / "cpu" / "cpu.cfs_quota_us", "150000\n")
    write(groups / "cpu" / "cpu.cfs_period_us", "100000\n")
    write(groups / "pids" / "pids.max", "4096\n")
    write(groups / "memory" / "memory.limit_in_bytes", "9223372036854771712\n")
    assert limits.cpu_limit() == 1.5
    assert limits.process_limit() == 4096
    assert limits.memory_limit_bytes() is None


def test_version_1_without_a_quota_has_no_limit(groups: Path) -> None:
    limits._MEMBERSHIP.write_text("4:cpu:/\n")
    write(groups / "cpu" / "cpu.cfs_quota_us", "-1\n")
    write(groups / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert limits.cpu_limit() is None


def test_this_machine_tells_its_files_and_shared_memory() -> None:
    assert limits.open_files() != 0
    assert limits.shared_memory_bytes() != 0
