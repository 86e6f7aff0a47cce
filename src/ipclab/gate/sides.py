"""The other side of a gate: an interpreter, a virtual environment, or a git revision built into one."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ipclab.errors import UsageError

OnEvent = Callable[[str], None]
_BUILD_WITHIN_S = 600.0
_ASK_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that has ipclab. ``label`` is what reports call it."""

    label: str
    python: str


def this() -> Interpreter:
    """Return the interpreter that runs now."""
    return Interpreter("this", sys.executable)


@contextlib.contextmanager
def other(name: str, on_event: OnEvent) -> Iterator[Interpreter]:
    """Yield the interpreter that ``name`` means: a program, the folder of a virtual environment, or a git
    revision of the repository in the current folder, which is built into a temporary virtual environment.

    Raise UsageError where it is none of these, cannot be built, or has no ipclab.
    """
    path = Path(name)
    if path.is_file() and os.access(path, os.X_OK):
        yield _with_ipclab(Interpreter(name, str(path.absolute())))
    elif (python := path / "bin" / "python").is_file():
        yield _with_ipclab(Interpreter(name, str(python.absolute())))
    elif not path.exists() and (program := shutil.which(name)) and "python" in Path(program).name:
        yield _with_ipclab(Interpreter(name, program))
    else:
        with _built(name, on_event) as built:
            yield _with_ipclab(built)


@contextlib.contextmanager
def _built(revision: str, on_event: OnEvent) -> Iterator[Interpreter]:
    commit, top = _commit(revision)
    with tempfile.TemporaryDirectory(prefix="ipclab-against-", ignore_cleanup_errors=True) as folder:
        source, venv = Path(folder) / "source", Path(folder) / "venv"
        on_event(f"building {revision} ({commit[:12]}) into a virtual environment")
        source.mkdir()
        archive = Path(folder) / "source.tar"
        _call(["git", "-C", str(top), "archive", "--format=tar", "-o", str(archive), commit], revision)
        _call(["tar", "-xf", str(archive), "-C", str(source)], revision)
        project = source / Path.cwd().resolve().relative_to(top)
        _call([sys.executable, "-m", "venv", "--without-pip", str(venv)], revision)
        _share_packages(venv)
        python = str(venv / "bin" / "python")
        _call([*_installer(project, python), str(project)], revision)
        yield Interpreter(f"{revision} ({commit[:12]})", python)


def _commit(revision: str) -> tuple[str, Path]:
    """Return the commit that a revision means, and the top folder of its repository. Raise UsageError."""
    try:
        told = [
            subprocess.run(
                ["git", "rev-parse", *words],
                capture_output=True,
                text=True,
                timeout=_ASK_WITHIN_S,
                check=True,
            ).stdout.strip()
            for words in (("--verify", "--end-of-options", f"{revision}^{{commit}}"), ("--show-toplevel",))
        ]
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(
            f"{revision!r} is no interpreter, no virtual environment, and no git revision of this folder's "
            "repository; name one of these"
        ) from error
    # With --end-of-options, git repeats the option before the answer.
    return told[0].splitlines()[-1], Path(told[1]).resolve()


def _share_packages(venv: Path) -> None:
    """Let the new environment see the packages of this one, after its own: both sides then differ only in
    what the revision brings."""
    (site,) = venv.glob("lib/python*/site-packages")
    places = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    lines = "".join(f"import site; site.addsitedir({place!r})\n" for place in places)
    (site / "zz-ipclab-shared.pth").write_text(lines, encoding="utf-8")


def _installer(project: Path, python: str) -> list[str]:
    """Return the command that installs a project into an environment. Raise UsageError."""
    if not (project / "pyproject.toml").is_file():
        raise UsageError(f"the revision has no pyproject.toml in {project.name}: it cannot be installed")
    try:
        importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError(
            "pip is not installed here, so no revision can be built: install it, or name an interpreter"
        ) from error
    words = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    words += ["--disable-pip-version-check", "--no-input"]
    return [*words, "--no-build-isolation"] if _can_build(project) else words


def _can_build(project: Path) -> bool:
    """Return whether everything that the build needs is installed here, so that nothing is downloaded."""
    try:
        described = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = described["build-system"]["requires"]
        for requirement in wanted:
            importlib.metadata.version(re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0])
    except (OSError, ValueError, KeyError, importlib.metadata.PackageNotFoundError):
        return False
    return True


def _with_ipclab(found: Interpreter) -> Interpreter:
    asked = subprocess.run(
        [found.python, "-P", "-c", "import ipclab"],
        capture_output=True,
        text=True,
        timeout=_ASK_WITHIN_S,
        check=False,
    )
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["it does not start"])[-1]
        raise UsageError(f"{found.label} cannot import ipclab ({last}): install it there")
    return found


def _call(command: list[str], revision: str) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_WITHIN_S, check=True)
    except subprocess.CalledProcessError as error:
        last = ((error.stderr or error.stdout).strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        raise UsageError(f"{revision} cannot be built: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{revision} cannot be built: {error}") from error
