"""No secret of a URL is in what a command says or stores, in a command line, or in a process it starts.

Some forms of URLs by the whole program; ``tests/unit/brokers/test_brokers_secrets.py`` draws all of them.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.program import PROGRAM, SHORT, TIMEOUT_S

SECRET = "Tr0ub/dor:&{}"
"""With another number for each variable."""
COMMANDS = {
    "status": ("status",),
    "doctor": ("doctor",),
    "up": ("up", "memcached", "--provider", "compose"),
    "down": ("down",),
    "a run without servers": ("run", "round_trip", "--backend", "pipe", *SHORT),
    "a run on Redis": ("run", "round_trip", "--backend", "redis-list", *SHORT),
    "a run on RabbitMQ": ("run", "round_trip", "--backend", "rabbitmq", *SHORT),
    "a claim": ("claims", "data_isolation"),
}
SESSIONS = {
    "passwords": (
        {
            "REDIS_URL": "redis://:{}@127.0.0.1:1/0",
            "RABBITMQ_URL": "amqp://me:{}@127.0.0.1:1/%2F",
            "MEMCACHED_URL": "memcached://me:{}@127.0.0.1:1",
        },
        tuple(COMMANDS),
    ),
    "options, TLS and tokens": (
        {
            "REDIS_URL": "rediss://127.0.0.1:1/0?password={}",
            "RABBITMQ_URL": "amqps://me:{0}@127.0.0.1:1/%2F?ssl_options={0}",
            "MEMCACHED_URL": "memcached://{}@127.0.0.1:1",
        },
        ("status", "a run on Redis", "a run on RabbitMQ"),
    ),
    "no URLs": ({"REDIS_URL": "{}", "RABBITMQ_URL": "amqp://:{0}/{0}"}, ("status", "a run on Redis")),
}
SPY = """#!/bin/sh
{ env; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; } >> "$SEEN" 2>/dev/null
exit 1
"""


@pytest.mark.parametrize("session", SESSIONS)
def test_no_secret_of_a_url_leaves_the_program(session: str, environ: dict[str, str], tmp_path: Path) -> None:
    urls, commands = SESSIONS[session]
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
    secrets = {variable: SECRET.format(number) for number, variable in enumerate(urls)}
    named = {variable: url.format(quote(secrets[variable], safe="")) for variable, url in urls.items()}
    told = ""
    for command in commands:
        ended = subprocess.run(
            [PROGRAM, *COMMANDS[command]],
            cwd=here,
            env={**environ, **named, "PATH": path, "PYTHONPATH": str(tools), "SEEN": str(seen)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        told += ended.stdout + ended.stderr
    kept = "".join(path.read_text("utf-8", "replace") for path in here.rglob("*") if path.is_file())
    started = seen.read_text("utf-8", "replace")
    assert "PATH" in started
    for secret in secrets.values():
        for said in (secret, quote(secret, safe="")):
            assert said not in told
            assert said not in kept
            assert said not in started
