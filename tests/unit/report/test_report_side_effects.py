"""What a backend did to the process of its trials is said under the table, in every format."""

from __future__ import annotations

import json

import msgspec
import pytest

from ipclab.host import text
from ipclab.report.formats import formatted
from ipclab.trial.clean import cleaned
from tests.support.records import Make

replace = msgspec.structs.replace
UMASK = "changed the umask of its process from 022 to 077"
SLEEP = "left a process running, which was ended: sleep 300 (pid 4242)"
ENDED = "all of it ended with its trial and reached no other"


def words(shown: str) -> str:
    return " ".join(shown.replace("\\", "").split())


@pytest.mark.parametrize("format_", ["table", "md"])
def test_side_effects_stand_under_the_table_once_for_each_backend(make: Make, format_: str) -> None:
    trials = [
        make.stream("pipe", 1.0, side_effects=[UMASK]),
        make.stream("pipe", 1.0, side_effects=[UMASK, SLEEP], repeat=1),
        make.stream("pipe", 1.0, repeat=2),
        make.stream("queue", 1.0),
    ]
    shown = words(formatted(make.result(trials), format_))
    assert f"side effects: pipe {UMASK}; {SLEEP} (in 2 trials); {ENDED}" in shown
    assert shown.count("side effects: ") == 1


def test_side_effects_of_a_safety_trial_are_shown_too(make: Make) -> None:
    trial = make.watched("order", "pipe", shown=None, safe=True, face="queue")
    assert UMASK in words(formatted(make.result([replace(trial, side_effects=[UMASK])]), "table"))


def test_many_side_effects_are_counted_and_all_are_in_the_json(make: Make) -> None:
    lines = [f"left a thread running in its process: {i}" for i in range(6)]
    result = make.result([make.stream("pipe", 1.0, side_effects=lines)])
    assert f"{lines[3]}; and 2 more (in 1 trial)" in words(formatted(result, "table"))
    assert json.loads(formatted(result, "json"))["trials"][0]["side_effects"] == lines


def test_without_side_effects_nothing_is_said_of_them(make: Make) -> None:
    assert "side effects" not in formatted(make.result([make.stream("pipe", 1.0)]), "table")


def test_a_secret_in_a_side_effect_is_masked_before_it_is_stored(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "_in_use", set())
    text.keep_secret("redis://:open-sesame@127.0.0.1:1")
    line = "left a process running, which was ended: redis-cli -a open-sesame \x1b[2J (pid 1)"
    (found,) = cleaned(make.stream("pipe", 1.0, side_effects=[line])).side_effects
    assert found == "left a process running, which was ended: redis-cli -a *** \\x1b[2J (pid 1)"
