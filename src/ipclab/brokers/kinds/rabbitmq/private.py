"""How a private RabbitMQ is found, configured and started."""

from __future__ import annotations

import glob
import os
import secrets
import sys
from pathlib import Path

from ipclab.brokers import programs
from ipclab.brokers.kinds import listening
from ipclab.brokers.kinds.base import Launch, Plan
from ipclab.host import ports

# The server's own script runs as any user; Debian's in /usr/sbin requires root or rabbitmq.
_SCRIPTS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
)


def find_script() -> str | None:
    """Return the server's own script, which any user may run; None where it, or Erlang, is not installed."""
    for pattern in _SCRIPTS:
        for script in sorted(glob.glob(pattern), reverse=True):
            if os.access(script, os.X_OK) and programs.find("erl"):
                return script
    return None


def _erl_that_dies_with_its_script(folder: Path, erl: str) -> Path:
    """Write an ``erl`` that Linux kills with the script that starts it, and return its folder.

    The server's script starts Erlang as a child, and would leave it running if the script itself is killed.
    """
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    programs.write_private(bin_folder / "erl", programs.script_dying_with_parent(erl))
    (bin_folder / "erl").chmod(0o700)
    return bin_folder


def plan(program: str, folder: Path) -> Plan:
    """Write the configuration of a private server with an Erlang name registry of its own into ``folder``."""
    port, epmd_port, password = ports.free_port(), ports.free_port(), secrets.token_hex(16)
    for name in ("mnesia", "log", "conf.d", "config"):
        (folder / name).mkdir(exist_ok=True)
    for name in ("rabbitmq-env.conf", "advanced.config"):
        programs.write_private(folder / name, "[].\n" if name == "advanced.config" else "")
    programs.write_private(folder / "enabled_plugins", "[].\n")
    programs.write_private(
        folder / "rabbitmq.conf",
        f"listeners.tcp.default = {listening.address()}:{port}\n"
        f"default_user = ipclab\ndefault_pass = {password}\n"
        # One file of ours gets the output; it is read when the server dies during its start.
        "log.console = true\nlog.console.level = warning\nlog.file = false\n",
    )
    env = programs.environment(folder) | {
        "RABBITMQ_NODENAME": f"ipclab-{secrets.token_hex(4)}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": listening.address(),
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(ports.free_port()),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
        "RABBITMQ_SCHEMA_DIR": str(folder / "config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "feature_flags"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # An Erlang program that cannot start must not write a dump of megabytes into the current folder.
        "ERL_CRASH_DUMP_SECONDS": "0",
        # It only serves to keep the server's shell from waiting for a user's name; nobody logs in with it.
        "LANG": "C.UTF-8",
    }
    if sys.platform == "linux" and (erl := programs.find("erl")) is not None:
        env["PATH"] = os.pathsep.join([str(_erl_that_dies_with_its_script(folder, erl)), env["PATH"]])
    launches = [Launch((program,), env)]
    epmd = programs.find("epmd")
    if epmd is not None:
        # As a process of ours, epmd ends with the server; one that Erlang starts by itself would not.
        launches.insert(0, Launch((epmd, "-port", str(epmd_port), "-address", "127.0.0.1"), env))
    return Plan(f"amqp://ipclab:{password}@{listening.address()}:{port}/%2F", tuple(launches))
