"""The wheel in an empty folder: what is inside, and that its commands need no checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import ipclab
from tests.support.documents import CHECKOUT
from tests.support.packages import build, install, tracked, unpack
from tests.support.program import SHORT

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Installed:
    """The installed wheel, and the empty folder in which its program runs."""

    site: Path
    here: Path
    environ: dict[str, str]

    def run(self, *arguments: str) -> str:
        """Run the installed program; return what it wrote to stdout."""
        ended = subprocess.run(
            [sys.executable, self.site / "bin" / "ipclab", *arguments],
            cwd=self.here,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", CHECKOUT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    site = tmp_path_factory.mktemp("site")
    return Installed(site, tmp_path_factory.mktemp("empty"), install(wheel, site))


def test_the_program_of_the_wheel_runs_without_the_checkout(installed: Installed) -> None:
    where = subprocess.run(
        [sys.executable, "-c", "import ipclab; print(ipclab.__file__)"],
        cwd=installed.here,
        env=installed.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert where.stdout.strip() == str(installed.site / "ipclab" / "__init__.py")
    assert installed.run("--version").split()[-1] == ipclab.__version__


def test_demo_compares_prints_a_table_and_leaves_results_with_a_page(installed: Installed) -> None:
    table = installed.run("demo", "--backend", "pipe", *SHORT)
    assert "pipe" in table
    assert "verdict" in table
    (run,) = (installed.here / "results" / "comparison").iterdir()
    assert {"result.json", "table.md", "report.html"} <= {file.name for file in run.iterdir()}
    installed.run("report", "-o", "page.html")
    assert "<svg" in (installed.here / "page.html").read_text()


def test_a_claim_is_tested(installed: Installed) -> None:
    assert "A mutex protects" in installed.run("claims", "4")


def test_a_stored_history_is_checked(installed: Installed) -> None:
    installed.run("run", "order", "--backend", "pipe", "--repeats", "1")
    history = next((installed.here / "results" / "order").rglob("histories/*"))
    assert installed.run("check", str(history)).startswith("valid: ")


def test_every_experiment_of_the_checkout_is_listed(installed: Installed) -> None:
    listed = installed.run("list")
    for file in (CHECKOUT / "experiments").glob("*.py"):
        assert file.stem in listed


def test_the_wheel_has_every_file_of_the_package_and_no_test(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = CHECKOUT / "src" / "ipclab"
    files = {
        f"ipclab/{file.relative_to(package)}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"
    }
    assert files <= inside
    assert "ipclab/_shipped/compose.yaml" in inside
    assert {f"ipclab/_shipped/schemas/{file.name}" for file in (CHECKOUT / "schemas").iterdir()} <= inside
    assert {name.partition("/")[0] for name in inside} == {
        "ipclab",
        f"ipclab-{ipclab.__version__}.dist-info",
    }


def test_the_sdist_has_what_git_tracks_and_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    folder = unpack(build("sdist", CHECKOUT, tmp_path / "dist"), tmp_path / "unpacked")
    missing = [name for name in tracked() if not (folder / name).exists() and not name.startswith(".ci/")]
    assert missing == []
    (tmp_path / "again").mkdir()
    again = build("wheel", folder, tmp_path / "again")
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()
