"""Typing the commands of README and guide: as they stand there, but with short trials."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ipclab.backends import registry
from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import Variant
from ipclab.brokers import KINDS
from tests.support.documents import CHECKOUT

ONCE = ("--repeats", "1")
SHORT = (*ONCE, "--duration", "0.1", "--warmup", "0.05")
UNTIMED = ("crash", "order", "client", "capacity", "curve")
"""Experiments that refuse a length, as they last as long as what they do."""
BROKER_COMMANDS = ("up", "down", "status")


def brokers_of(line: str) -> set[BrokerKind]:
    """Return the brokers that a command needs; all of them where it names no backend."""
    words = shlex.split(line)
    if words[:2] in (["ipclab", "run"], ["ipclab", "gate"]) or words[0] == "python":
        named = [words[i + 1] for i, word in enumerate(words) if word == "--backend"]
        kinds = {kind for text in named for kind in _kinds(Variant.parse(text))}
        return kinds if named else set(KINDS)
    return set(KINDS) if words[1] in BROKER_COMMANDS else set()


def _kinds(variant: Variant) -> set[BrokerKind]:
    found = set()
    if variant.name in registry.channel_names():
        found.add(registry.channel_class(variant).broker)
    if variant.name in registry.counter_names():
        found.add(registry.counter_class(Variant(variant.name)).broker)
    return {kind for kind in found if kind is not None}


@dataclass(frozen=True, slots=True)
class Reader:
    """Works in ``folder``, with these variables besides those of the tests."""

    folder: Path
    variables: Mapping[str, str]

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the guide, with short trials where it measures."""
        words = shlex.split(line)
        measures = words[0] == "python" or words[1] in ("run", "gate")
        if words[0] == "python":
            program = [sys.executable, str(CHECKOUT / words[1]), *words[2:]]
        else:
            program = [sys.executable, "-c", "from ipclab.cli import main; main()", *words[1:]]
        state = {"IPCLAB_STATE_DIR": str(self.folder / "state")}
        return subprocess.run(
            [*program, *(_shortened(words) if measures else ())],
            cwd=self.folder,
            env={**os.environ, **state, **self.variables},
            capture_output=True,
            text=True,
            timeout=110,
        )


def _shortened(words: list[str]) -> tuple[str, ...]:
    """Return the options that make this run as short as possible."""
    experiment = Path(words[1]).stem if words[0] == "python" else next(iter(words[2:]), "")
    shorter = ONCE if experiment in UNTIMED else SHORT
    pairs = zip(shorter[::2], shorter[1::2], strict=True)
    return tuple(word for option, value in pairs if option not in words for word in (option, value))
