"""The JSON schemas are those of the code, accept what ipclab writes and refuse what it refuses."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from ipclab.claims.keep import read as read_claims
from ipclab.claims.outcome import Run
from ipclab.history import Header, ProcessLog, merge
from ipclab.report import json as json_report
from ipclab.results.encoding import encode
from ipclab.results.result import Result
from ipclab.results.store import read
from tests.support.documents import CHECKOUT, blocks, section
from tests.support.program import PROGRAM
from tests.support.records import Make
from tests.support.results_on_pages import TROUBLES, comparison, faults
from tests.support.schemas import FOLDER, problems, problems_below
from tests.support.servers import unavailable

STORED = sorted((CHECKOUT / "docs" / "run").glob("*/result.json"))
CLAIMS = sorted((CHECKOUT / "docs" / "claims").glob("*.json"))
PAGE = section((CHECKOUT / "docs" / "results-format.md").read_text(), "Read it with other programs")


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The program behind ``make schemas``."""
    spec = importlib.util.spec_from_file_location("schemas", CHECKOUT / "scripts" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A folder with a stored run, as ``ipclab run`` leaves one."""
    run = tmp_path / "results" / "comparison" / "20260102T030405Z"
    run.mkdir(parents=True)
    shutil.copy(CHECKOUT / "docs" / "run" / "comparison" / "result.json", run)
    (tmp_path / "results" / "latest").symlink_to(run)
    return tmp_path


def test_the_schemas_are_those_of_the_classes(program: ModuleType) -> None:
    assert {file.name: file.read_text() for file in FOLDER.iterdir()} == program.made(), "run make schemas"


@pytest.mark.parametrize("file", STORED, ids=lambda file: file.parent.name)
def test_a_stored_result_and_its_output_as_json_follow_the_schema(file: Path) -> None:
    assert problems("result-2", json.loads(file.read_text())) == []
    assert problems("result-2", json.loads(json_report.render(read(file)))) == []


@pytest.mark.parametrize("make", [comparison, faults, *TROUBLES.values()])
def test_results_of_every_kind_follow_the_schema(make: Callable[[Any], Result]) -> None:
    result = make(Make())
    assert problems("result-2", json.loads(encode(result))) == []
    assert problems("result-2", json.loads(json_report.render(result))) == []


@pytest.mark.parametrize("file", CLAIMS, ids=lambda file: file.stem)
def test_a_run_of_claims_follows_the_schema_as_evidence_and_in_full(file: Path) -> None:
    assert problems("claims-1", json.loads(file.read_text())) == []
    whole: Run = read_claims(file)
    assert problems("claims-1", json.loads(msgspec.json.encode(whole))) == []


def test_every_line_of_a_written_history_follows_the_schema(tmp_path: Path) -> None:
    (tmp_path / "histories").mkdir()
    with ProcessLog(tmp_path / "log", 1) as log:
        log.invoke("write", 3)
        log.ok()
        log.invoke("read")
        log.ok(3)
    header = Header(ipclab_history=1, model="register")
    merge(tmp_path / "histories" / "0000.jsonl.gz", header, [tmp_path / "log"])
    assert problems_below(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("history-1", {"ipclab_history": 2}),
        ("history-1", {"process": 1, "type": "maybe", "f": "send", "time": 1}),
        ("history-1", {"process": 1, "type": "ok", "f": "send", "time": 1, "surprise": 0}),
        ("claims-1", {"ipclab_claims": 1, "began_utc": "", "left": []}),
    ],
)
def test_what_ipclab_refuses_is_refused(name: str, value: Any) -> None:
    assert problems(name, value)


@pytest.mark.parametrize("change", [{"ipclab_result": 3}, {"surprise": 1}, {"trials": None}])
def test_a_result_that_ipclab_refuses_is_refused(change: dict[str, Any]) -> None:
    result = json.loads(encode(Make().result()))
    assert problems("result-2", result) == []
    assert problems("result-2", result | change)


def test_a_result_that_breaks_its_schema_is_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(encode(Make().result()))
    assert problems_below(tmp_path) == []
    # The same is asked of the folder after the test, with the real schema.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.schemas.problems", lambda name, value: [f"{name} is broken"])
        assert problems_below(tmp_path) == [f"{tmp_path / 'result.json'}: result-2 is broken"]


def test_the_page_loads_a_result_with_pandas(stored: Path) -> None:
    (program,) = blocks(PAGE, "python")
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=stored, capture_output=True, text=True, timeout=100
    )
    assert shown.returncode == 0, shown.stderr
    assert "redis-stream" in shown.stdout


@pytest.mark.server
def test_the_page_loads_a_result_with_jq(stored: Path) -> None:
    if shutil.which("jq") is None:
        unavailable("jq is not installed: sudo apt-get install jq")
    (line,) = blocks(PAGE, "bash")
    environ = os.environ | {"PATH": f"{Path(PROGRAM).parent}{os.pathsep}{os.environ['PATH']}"}
    shown = subprocess.run(
        ["bash", "-c", line],
        cwd=stored,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert shown.returncode == 0, shown.stderr
    assert "redis-stream" in shown.stdout
