"""A kind of server of another package that ends or holds its process is one line, and harms no other."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipclab.brokers import kinds
from ipclab.brokers.kinds import registry
from ipclab.errors import UsageError
from ipclab.host import hang, rehearsal
from tests.support.program import PROGRAM, SHORT, TIMEOUT_S

GOOD = """
from ipclab.brokers.kinds.base import ServerKind


class Odd(ServerKind):
    name = "odd"
    title = "Odd"
    schemes = ("odd",)
    variables = ("ODD_URL",)
    example_url = "odd://host"
    default_port = 1

    def version(self, url, timeout_s):
        return "1"
"""
ENDS_WHEN_MADE = GOOD + "\n    def __init__(self):\n        import os\n        os._exit(0)\n"
HANGS = "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 30)); time.sleep(600)"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Install a package whose kind ``odd`` is in a module with this text."""
    folder = tmp_path / "site"

    def forget() -> None:
        registry._entry_points.cache_clear()
        registry._loaded.cache_clear()
        registry.get.cache_clear()
        importlib.invalidate_caches()

    def install(text: str) -> Path:
        info = folder / "ipclab_odd_kind-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ipclab-odd-kind\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[ipclab.brokers]\nodd = ipclab_odd_kind:Odd\n")
        (folder / "ipclab_odd_kind.py").write_text(text)
        monkeypatch.syspath_prepend(str(folder))
        forget()
        return folder

    monkeypatch.setattr(rehearsal, "HANGS_AFTER_S", 0.2)
    monkeypatch.setattr(hang, "LOOK_S", 0.05)
    yield install
    monkeypatch.undo()
    forget()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os; os._exit(0)", "cannot be imported and made: it ended with exit code 0"),
        ("import ctypes; ctypes.string_at(0)", "cannot be imported and made: it was killed by SIGSEGV"),
        ("raise KeyboardInterrupt", "cannot be imported and made: it raises KeyboardInterrupt"),
        (ENDS_WHEN_MADE, "cannot be imported and made: it ended with exit code 0"),
        (HANGS, "cannot be imported and made: it does not return"),
        ("import sys; sys.exit(0)", "cannot be imported: SystemExit: it called sys.exit(0)"),
        ("raise BaseException('two\\nlines')", "cannot be imported: BaseException: two lines"),
        ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
    ],
)
def test_a_kind_whose_code_ends_or_holds_its_process_is_refused_in_one_line_and_tried_once(
    package: Callable[[str], Path], tmp_path: Path, text: str, said: str
) -> None:
    tried = tmp_path / "tried"
    package(
        f"import os; os.write(os.open({str(tried)!r}, os.O_CREAT | os.O_APPEND | os.O_RDWR), b'x')\n{text}"
    )
    refusals = set()
    for _ in range(3):
        with pytest.raises(UsageError) as refused:
            kinds.get("odd")
        refusals.add(str(refused.value))
    (line,) = refusals
    assert line.startswith("the kind of server odd (ipclab_odd_kind:Odd) ")
    assert line.endswith("; repair or uninstall its package")
    assert said in line
    assert "\n" not in line
    # Once in a child, and once here where the child came back.
    assert len(tried.read_bytes()) <= 2
    assert "odd" not in kinds.usable()
    assert "redis" in kinds.usable()


def test_a_kind_that_does_as_it_should_is_used(package: Callable[[str], Path]) -> None:
    package(GOOD)
    assert kinds.get("odd").title == "Odd"
    assert "ODD_URL" in kinds.variables()


@pytest.mark.parametrize(
    "text", ["import os; os._exit(0)", f"print('PRINTED')\n{GOOD}"], ids=["exits", "prints"]
)
def test_a_run_that_needs_no_such_server_goes_on_and_its_data_are_clean(
    package: Callable[[str], Path], tmp_path: Path, text: str
) -> None:
    folder = package(text)
    ended = subprocess.run(
        [PROGRAM, "run", "round_trip", "-b", "pipe", *SHORT, "--format", "json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(folder), "IPCLAB_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr
    assert [row["backend"] for row in json.loads(ended.stdout)["rows"]] == ["pipe"]
