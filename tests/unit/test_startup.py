"""What is imported to answer ``ipclab --help``: nothing that takes long. The time itself is a benchmark's."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "docker",
    "hdrh",
    "jinja2",
    "msgspec",
    "multiprocessing",
    "numpy",
    "pika",
    "psutil",
    "pymemcache",
    "redis",
    "rich",
    "scipy",
)
PROGRAM = """
import sys
from ipclab.cli import main
try:
    main([{argument!r}])
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_imports_no_client_and_nothing_heavy(argument: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(argument=argument)], capture_output=True, text=True, check=True
    )
    assert "ipclab" in done.stdout
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "click" in loaded
    assert loaded.isdisjoint(HEAVY), sorted(loaded & set(HEAVY))
