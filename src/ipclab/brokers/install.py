"""Installs the servers' packages on Debian and similar systems, without starting their services."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence

from ipclab.backends.base import BrokerKind
from ipclab.brokers import kinds
from ipclab.brokers.programs import search_path
from ipclab.errors import BrokerUnavailableError

_WITHIN_S = 900.0

# The package of a server starts it on its default port. A policy that answers 101 ("not allowed") prevents
# that; an existing policy is the administrator's and stays as it is. The units that the packages newly
# enabled are disabled again, so that they do not start with the machine either.
SCRIPT = r"""
set -e
policy=/usr/sbin/policy-rc.d
mark='# by ipclab, while it installs servers without starting them'
if [ ! -e "$policy" ] || grep -qxF "$mark" "$policy"; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" > "$policy"
  chmod 755 "$policy"
fi
enabled() { find /etc/systemd/system -type l -path '*.wants/*' -printf '%f\n' 2> /dev/null | sort -u; }
before=" $(enabled | tr '\n' ' ') "
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
if command -v systemctl > /dev/null; then
  for unit in $(enabled); do
    case "$before" in *" $unit "*) ;; *) systemctl disable --quiet "$unit" 2> /dev/null || true ;; esac
  done
fi
"""


def packages(names: Sequence[BrokerKind]) -> list[str]:
    """Return the Debian packages of these kinds, without the kinds that have none."""
    return [package for name in names if (package := kinds.get(name).package)]


def command(names: Sequence[BrokerKind]) -> str:
    """Return the command that installs these servers on this system; empty where no package has them."""
    found = packages(names)
    if sys.platform == "darwin":
        found = [of.formula or of.package for of in map(kinds.get, names) if of.formula or of.package]
    installer = "brew install" if sys.platform == "darwin" else "sudo apt-get install"
    return f"{installer} {' '.join(found)}" if found else ""


def is_debian() -> bool:
    """Return whether this is Debian, Ubuntu or a system derived from them, with apt-get."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return bool(family & {"debian", "ubuntu"}) and shutil.which("apt-get", path=search_path()) is not None


def is_possible(*, asked: bool | None) -> bool:
    """Return whether ``install`` can be called: if requested (None: as root), on a Debian-like system."""
    if asked is False or not is_debian():
        return False
    return os.geteuid() == 0 or (asked is True and shutil.which("sudo") is not None)


def install(names: Sequence[BrokerKind]) -> None:
    """Install the packages of these servers. It takes a minute or two, and uses sudo where not root.

    Raise BrokerUnavailableError where apt-get fails.
    """
    install_packages(packages(names))


def install_packages(wanted: Sequence[str]) -> None:
    """Install these Debian packages, without starting services. As ``install()``."""
    sudo = [] if os.geteuid() == 0 else ["sudo", *([] if sys.stdin.isatty() else ["-n"]), "--"]
    argv = [*sudo, "sh", "-c", SCRIPT, "ipclab-install", *wanted]
    try:
        returncode, errors_text = _run(argv)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerUnavailableError(f"the packages {' '.join(wanted)} were not installed: {error}") from None
    if returncode != 0:
        lines = [line for line in errors_text.splitlines() if line.strip()]
        errors = (
            [line for line in lines if line.startswith(("E:", "sudo:"))] or lines[-1:] or ["no reason given"]
        )
        raise BrokerUnavailableError(f"apt-get could not install {' '.join(wanted)}: {errors[0]}")


def _run(argv: Sequence[str]) -> tuple[int, str]:
    """Return exit code and standard error; when interrupted, let the script remove its policy first."""
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate(timeout=_WITHIN_S)
        except BaseException:
            # A sudo process belongs to root; the terminal has signalled it as well.
            with contextlib.suppress(PermissionError):
                process.terminate()
            process.communicate()
            raise
    return process.returncode, errors
