"""No secret of a URL is in what a command says or stores, in a command line, or in a process it starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.program import PROGRAM, SHORT, TIMEOUT_S

SECRET = "Tr0ub/dor:&3"
QUOTED = quote(SECRET, safe="")
FORMS = {
    "redis password": ("REDIS_URL", f"redis://:{QUOTED}@127.0.0.1:1/0"),
    "redis user": ("REDIS_URL", f"redis://{QUOTED}@127.0.0.1:1/0"),
    "redis option": ("REDIS_URL", f"redis://127.0.0.1:1/0?password={QUOTED}"),
    "redis TLS": ("REDIS_URL", f"rediss://me:{QUOTED}@127.0.0.1:1/0"),
    "redis socket": ("REDIS_URL", f"unix://me:{QUOTED}@/nonexistent/redis.sock"),
    "rabbitmq": ("RABBITMQ_URL", f"amqp://me:{QUOTED}@127.0.0.1:1/%2F"),
    "rabbitmq TLS": ("RABBITMQ_URL", f"amqps://me:{QUOTED}@127.0.0.1:1/%2F?ssl_options={QUOTED}"),
    "memcached": ("MEMCACHED_URL", f"memcached://me:{QUOTED}@127.0.0.1:1"),
    "no URL": ("REDIS_URL", f"{SECRET}"),
}
COMMANDS = (
    ("status",),
    ("doctor",),
    ("up", "memcached", "--provider", "compose"),
    ("down",),
    ("run", "round_trip", "--backend", "pipe", *SHORT),
    ("run", "round_trip", "--backend", "redis-list", *SHORT),
    ("claims", "1"),
)
SPY = """#!/bin/sh
{ env; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; } >> "$SEEN" 2>/dev/null
exit 1
"""


@pytest.mark.parametrize("form", sorted(FORMS))
def test_no_secret_of_a_url_leaves_the_program(form: str, environ: dict[str, str], tmp_path: Path) -> None:
    variable, url = FORMS[form]
    here, tools, seen = tmp_path / "here", tmp_path / "tools", tmp_path / "seen"
    here.mkdir()
    tools.mkdir()
    for name in ("docker", "sudo"):
        (tools / name).write_text(SPY)
        (tools / name).chmod(0o755)
    # Every Python that is started with this on its path writes down its environment and its command line.
    (tools / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if os.environ.get('SEEN') and 'ipclab' not in os.path.basename(sys.orig_argv[1]):\n"
        "    with open(os.environ['SEEN'], 'a') as file:\n"
        "        file.write(f'{dict(os.environ)} {sys.orig_argv}\\n')\n"
    )
    path = f"{tools}{os.pathsep}{environ.get('PATH', '')}"
    more = {"PATH": path, "PYTHONPATH": str(tools), "SEEN": str(seen), variable: url}
    told = ""
    for command in COMMANDS:
        if command[0] == "run" and "redis-list" in command and variable != "REDIS_URL":
            continue
        ended = subprocess.run(
            [PROGRAM, *command],
            cwd=here,
            env={**environ, **more},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        told += ended.stdout + ended.stderr
    kept = "".join(path.read_text("utf-8", "replace") for path in here.rglob("*") if path.is_file())
    started = seen.read_text("utf-8", "replace")
    assert "PATH" in started
    for secret in (SECRET, QUOTED):
        assert secret not in told
        assert secret not in kept
        assert secret not in started
