from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ipclab.brokers import KINDS, install


def test_the_advice_names_every_package() -> None:
    advice = install.command(KINDS)
    for kind in KINDS:
        assert kind in advice


def test_nothing_is_installed_where_that_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "is_debian", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not install.is_possible(asked=False)
    assert install.is_possible(asked=None)


def test_a_plain_user_installs_only_when_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "is_debian", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    assert not install.is_possible(asked=None)
    assert install.is_possible(asked=True)


def test_nothing_is_installed_on_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "is_debian", lambda: False)
    assert not install.is_possible(asked=True)


def test_the_script_is_one_that_the_shell_can_read() -> None:
    read = subprocess.run(["sh", "-n", "-c", install.SCRIPT], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
