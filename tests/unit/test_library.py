"""ipclab as a library: its public names are exact, importing it costs nothing, and docs/library.md runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ipclab
from ipclab.history import Header, ProcessLog, merge
from tests.support.documents import CHECKOUT, section, tables

PAGE = (CHECKOUT / "docs" / "library.md").read_text()
NAMES = {
    "Experiment",
    "IpclabError",
    "Request",
    "Result",
    "Store",
    "TrialSpec",
    "Variant",
    "__version__",
    "check",
    "formatted",
    "load",
    "read",
    "read_history",
    "rows",
    "run",
}


def code(title: str) -> str:
    """The block of code in a section of the page."""
    return section(PAGE, title).partition("```python\n")[2].partition("```")[0]


def test_the_public_names_are_exactly_these_and_each_is_there() -> None:
    assert set(ipclab.__all__) == NAMES
    assert set(dir(ipclab)) == NAMES
    assert all(getattr(ipclab, name) is not None for name in NAMES)


def test_the_page_names_each_of_them() -> None:
    (names,) = tables(section(PAGE, "Names"))
    assert {row[0].strip("`") for row in names[1:]} == NAMES


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'surprise'"):
        ipclab.surprise  # noqa: B018


def test_importing_it_imports_none_of_its_parts() -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import ipclab, sys; print([m for m in sys.modules if m.startswith('ipclab.')])",
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.stdout == "[]\n"


def test_an_experiment_is_run_its_result_read_and_a_history_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with ProcessLog(tmp_path / "log", 1) as log:
        log.invoke("write", 3)
        log.ok()
        log.invoke("read")
        log.ok(3)
    merge(tmp_path / "history.jsonl.gz", Header(ipclab_history=1, model="register"), [tmp_path / "log"])
    names: dict[str, Any] = {}

    for title in ("Run an experiment", "Read a result", "Check a history"):
        exec(compile(code(title), title, "exec"), names)

    said = capsys.readouterr().out
    assert "throughput:" in said
    assert "pipe" in said
    assert said.endswith("valid {}\n")
