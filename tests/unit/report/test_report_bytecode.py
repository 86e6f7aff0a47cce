"""Compiled templates are kept beside their sources, and a page is made the same way without them."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
import pytest

from ipclab.report.html.bytecode import BesideSource

SOURCE = "{{ 6 * 7 }}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "t.j2").write_text(SOURCE)
    return tmp_path


def render(folder: Path) -> str:
    loader = jinja2.FileSystemLoader(folder)
    return (
        jinja2.Environment(loader=loader, autoescape=True, bytecode_cache=BesideSource(folder))
        .get_template("t.j2")
        .render()
    )


def test_a_template_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert render(folder) == "42"
    monkeypatch.setattr(jinja2.Environment, "compile", lambda *_, **__: pytest.fail("compiled again"))
    assert render(folder) == "42"


def test_a_changed_template_is_compiled_again(folder: Path) -> None:
    render(folder)
    (folder / "t.j2").write_text("{{ 1 + 1 }}")
    assert render(folder) == "2"


def test_nothing_is_written_where_python_writes_no_bytecode(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert render(folder) == "42"
    assert [path.name for path in folder.iterdir()] == ["t.j2"]


def test_a_folder_that_cannot_be_written_is_no_error(folder: Path) -> None:
    (folder / "__pycache__").write_text("a file where the folder would be")
    assert render(folder) == "42"


def test_a_file_that_was_cut_off_is_compiled_again(folder: Path) -> None:
    render(folder)
    (kept,) = (folder / "__pycache__").iterdir()
    kept.write_bytes(kept.read_bytes()[:12])
    assert render(folder) == "42"
