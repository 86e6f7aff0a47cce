"""Backends whose library is an optional extra of the package."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipclab.backends import extras, registry
from ipclab.backends.extras import EXTRAS, Extra
from ipclab.errors import UsageError

ABSENT = Extra("nothing", "ipclab_has_no_such_module")


@pytest.fixture
def without_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Redis's backends need an extra that is not installed."""
    listed = (registry._channels, registry._counters, registry._registers, registry._mutexes)
    for found in listed:
        found.cache_clear()
    monkeypatch.setattr(extras, "EXTRAS", {"redis": ABSENT})
    yield
    for found in listed:
        found.cache_clear()


def test_a_backend_without_its_library_is_in_no_list(without_redis: None) -> None:
    for face in ("channel", "counter", "register", "lock"):
        names = registry.backend_names(face)
        assert names
        assert not [name for name in names if name.startswith("redis")]
    assert registry.is_own("redis-list")


def test_one_that_is_named_gets_the_command_that_installs_it(without_redis: None) -> None:
    with pytest.raises(UsageError, match=r"^redis-list needs .*: pip install 'ipclab\[nothing\]'$"):
        registry.channel_class(registry.Variant("redis-list"))


def test_every_extra_is_one_of_the_package_and_of_its_tests() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    offered = project["project"]["optional-dependencies"]
    for folder, extra in EXTRAS.items():
        assert extra.name in offered, folder
        assert any(f"ipclab[{extra.name}" in need or need in offered[extra.name] for need in offered["test"])
