"""The programs that are shown: they do every job that they are given, with the settings of the mode."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ipclab.backends.declared import guarantees_of
from ipclab.backends.registry import Variant, channel_class, channel_names, is_own
from ipclab.choose import claims, snippets
from ipclab.claims import catalogue

LOCAL = [name for name in snippets.FILES if channel_class(Variant(name)).broker is None]


def run(program: str, folder: Path, environ: dict[str, str] | None = None) -> list[str]:
    """Run a program whose work is to note its jobs; return those, sorted."""
    noting = re.sub(r'"""Do one job: [^"]*"""', 'open("done", "ab").write(job + b"\\\\n")', program)
    assert noting != program
    (folder / "program.py").write_text(noting)
    answer = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    return sorted((folder / "done").read_text().splitlines())


def test_every_channel_of_the_lab_that_carries_jobs_has_a_program() -> None:
    own = [name for name in channel_names() if is_own(name)]
    to_all = {name for name in own if guarantees_of(channel_class(Variant(name)), {}).fan_out}
    assert set(snippets.FILES) == {*own} - to_all - {"shm-ring-naive"}
    assert "redis-pubsub" in to_all
    assert snippets.text(Variant("redis-pubsub")) is None


@pytest.mark.parametrize("name", LOCAL)
def test_the_program_of_a_local_channel_does_every_job(name: str, tmp_path: Path) -> None:
    program = snippets.text(Variant(name))
    assert program is not None
    assert run(program, tmp_path) == ["first job", "second job"]


def test_the_settings_of_the_mode_are_in_the_program() -> None:
    program = snippets.text(Variant.parse("rabbitmq:ack=auto,confirm=none,delivery=transient,prefetch=7"))
    assert program is not None
    for line in ("ACK = 'auto'", "CONFIRM = 'none'", "DELIVERY = 'transient'", "PREFETCH = 7"):
        assert line in program.splitlines()
    quorum = snippets.text(Variant("rabbitmq-quorum"))
    assert quorum is not None
    assert "QUEUE_TYPE = 'quorum'" in quorum.splitlines()


@pytest.mark.parametrize("name", snippets.FILES)
def test_every_setting_of_a_backend_has_a_constant_in_its_program(name: str) -> None:
    program = snippets.text(Variant(name))
    assert program is not None
    for setting in snippets.settings(Variant(name)):
        assert re.search(rf"(?m)^{setting.upper()} = ", program), setting


def test_every_claim_that_is_named_exists() -> None:
    known = set(catalogue.load_all())
    assert {name for names in claims.ABOUT.values() for name in names} <= known
    assert claims.about("redis-stream")
    assert claims.about("my-sqlite") == []
