"""The address of a machine, and the command that leads there."""

from __future__ import annotations

import shlex

import pytest

from ipclab.errors import UsageError
from ipclab.hosts.address import parse


def test_a_command_is_taken_as_it_is() -> None:
    assert parse("exec:kubectl exec -i pod-1 -- python").command == "kubectl exec -i pod-1 -- python"


def test_the_shell_of_ssh_gets_one_command_and_what_the_engine_appends_is_a_comment() -> None:
    words = shlex.split(parse("ssh:-p 2222 user@a:/opt/py/bin/python").command)
    assert words[:-1] == ["ssh", "-T", "-o", "BatchMode=yes", "-p", "2222", "user@a"]
    there = shlex.split(words[-1], comments=True)
    assert there == ["exec", "/opt/py/bin/python", "-u", "-c", "import sys;exec(eval(sys.stdin.readline()))"]
    assert shlex.split(f"{words[-1]} -u -c import sys;exec(", comments=True) == there


def test_a_machine_of_ssh_has_the_name_of_its_host() -> None:
    assert [parse(text).name for text in ("ssh:user@a", "ssh:b", "exec:python")] == ["a", "b", ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a:b", "there is no engine 'a'"),
        ("exec:", "names no machine"),
        ("ssh:", "names no machine"),
        ("ssh:-p", "names no machine"),
        ("exec:python 'x", "No closing quotation"),
        ("socket:a:8888", "runs the code of anybody"),
        ("exec:socket=a:8888", "runs the code of anybody"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        parse(text)
    assert "\n" not in str(refused.value)
