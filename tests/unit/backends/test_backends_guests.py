"""Backends that ``--backend`` names by a file or a module, without a package."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipclab.backends import guests, registry, user_files
from ipclab.backends.base import Site
from ipclab.backends.registry import Variant, channel_class, channel_names, typed
from ipclab.errors import UnknownNameError, UsageError
from ipclab.experiment import Request

SOURCE = """
from ipclab.backends.base import Option
from ipclab.backends.local.queue import SimpleQueueChannel
from neighbour import SUMMARY


class Mine(SimpleQueueChannel):
    name = "mine"
    summary = SUMMARY
    options = (Option("batch", 5, "messages at once"),)
"""

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Write a file into a folder, which is the current one; forget all guests afterwards."""
    (tmp_path / "neighbour.py").write_text("SUMMARY = 'a queue of a user'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(guests, "_guests", {})
    modules = set(sys.modules)

    def write(name: str, text: str = SOURCE) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    yield write
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def refusal(text: str) -> str:
    """Return the one line that refuses this text for ``--backend``."""
    with pytest.raises(UsageError) as caught:
        Variant.parse(text)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("--backend ")
    return str(caught.value)


def test_a_class_in_a_file_is_a_backend_by_the_name_that_it_declares(put: Put) -> None:
    put("my_queue.py")
    variant = Variant.parse("./my_queue.py:Mine")
    assert variant == Variant("mine")
    assert channel_class(variant).__name__ == "Mine"
    assert Request(backends=(variant,)).channels() == [variant]
    assert typed(variant) == "./my_queue.py:Mine"


def test_a_class_in_a_module_of_the_current_folder_is_a_backend(put: Put) -> None:
    put("my_package/__init__.py", "")
    put("my_package/mod.py")
    assert Variant.parse("my_package.mod:Mine") == Variant("mine")


def test_one_file_may_be_written_in_several_ways(put: Put) -> None:
    put("my_queue.py")
    put("folder/empty.py", "")
    for text in (
        "my_queue.py",
        "./my_queue.py",
        "folder/../my_queue.py",
        str(Path("my_queue.py").absolute()),
    ):
        assert Variant.parse(f"{text}:Mine") == Variant("mine")


def test_options_follow_the_address(put: Put) -> None:
    put("my_queue.py")
    variant = Variant.parse("my_queue.py:Mine:batch=7")
    assert variant.options == {"batch": 7}
    assert typed(variant) == "my_queue.py:Mine:batch=7"
    with pytest.raises(UnknownNameError, match="no option of channel mine is called 'bath'"):
        channel_class(Variant.parse("my_queue.py:Mine:bath=7"))
    assert "write NAME:option=value" in refusal("my_queue.py:Mine:batch")


def test_a_guest_is_in_no_list_so_a_run_that_names_no_backend_does_not_measure_it(put: Put) -> None:
    put("my_queue.py")
    Variant.parse("my_queue.py:Mine")
    assert "mine" not in channel_names()
    assert Variant("mine") not in Request().channels()


@pytest.mark.parametrize("name", ["queue.py", "multiprocessing.py", "my-queue 1.py"])
def test_a_file_may_have_any_name_and_takes_the_place_of_no_module(put: Put, name: str) -> None:
    put(name)
    assert Variant.parse(f"{name}:Mine") == Variant("mine")
    import queue

    assert queue.__file__ != str(Path(name).absolute())


def test_two_files_of_one_name_are_two_modules(put: Put) -> None:
    alone = SOURCE.replace("from neighbour import SUMMARY", "SUMMARY = 'x'")
    put("a/my_queue.py", alone)
    put("b/my_queue.py", alone.replace('"mine"', '"other"'))
    assert Variant.parse("a/my_queue.py:Mine") == Variant("mine")
    assert Variant.parse("b/my_queue.py:Mine") == Variant("other")


def test_a_new_process_finds_the_class_by_pickle_alone(put: Put) -> None:
    path = put("sub folder/my_queue.py", SOURCE.replace("from neighbour import SUMMARY", "SUMMARY = 'x'"))
    made = channel_class(Variant.parse("sub folder/my_queue.py:Mine"))(Site(namespace="ipclab:test"))
    program = "import pickle, sys; print(type(pickle.load(sys.stdin.buffer)).__module__)"
    answer = subprocess.run(
        [sys.executable, "-P", "-c", program], input=pickle.dumps(made), capture_output=True, cwd="/"
    )
    assert answer.stdout.decode().strip() == user_files.module_name(path), answer.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere.py:Mine", "there is no such file"),
        ("my_queue.py", "name the class too, such as my_queue.py:Mine"),
        ("my_queue.py:", "name the class too, such as my_queue.py:Mine"),
        ("my_queue.py:Min", "it has no class Min; it has Mine"),
        ("my_queue.py:SUMMARY", "SUMMARY is no Channel, Counter, Register or Mutex class"),
        ("no_such_module:Mine", "no module is called 'no_such_module', installed or in this folder"),
        ("json.no_such_part:Mine", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_with_what_to_do(put: Put, text: str, said: str) -> None:
    put("my_queue.py")
    assert said in refusal(text)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('two\\nlines')", "it cannot be imported: line 1: RuntimeError: two lines"),
        ("def broken(:", "it cannot be imported: SyntaxError"),
        ("\n\nraise SystemExit(0)", "it cannot be imported: line 3: SystemExit: it called sys.exit(0)"),
        ("import os; os._exit(3)", "it cannot be imported and made: it ended with exit code 3"),
        (
            SOURCE.replace('"mine"', '"pipe"'),
            "takes the name pipe, which is ipclab's own; give it another name",
        ),
        (SOURCE.replace('"mine"', "[]"), "breaks the contract of a backend: its name must be letters"),
        (SOURCE.replace('"mine"', "5"), "breaks the contract of a backend: its name must be letters"),
        (SOURCE + "\n    broker = 5", "breaks the contract of a backend: mine: broker must be"),
    ],
)
def test_a_file_that_breaks_is_told_in_one_line_and_nothing_else_is_harmed(
    put: Put, source: str, said: str
) -> None:
    put("my_queue.py", source)
    assert said in refusal("my_queue.py:Mine")
    assert channel_class(Variant("pipe")).name == "pipe"


def test_a_name_that_another_guest_has_is_refused(put: Put) -> None:
    put("one.py")
    put("two.py")
    Variant.parse("one.py:Mine")
    assert "it takes the name mine, as one.py:Mine does" in refusal("two.py:Mine")
    assert Variant.parse("one.py:Mine") == Variant("mine")


def test_a_known_name_is_never_taken_for_a_module() -> None:
    assert "write NAME:option=value" in refusal("queue:Mine")
    assert registry.typed(Variant("queue")) == "queue"
