"""Gets the servers and other programs that the tests need, where that may be done; else says how to get them.

Run before pytest, as `make test` does. Always ends well: what cannot be had skips the tests
that need it, with the reason, and with CI=true fails them.
"""

from __future__ import annotations

import shutil
import sys

from ipclab.brokers import install, kinds, url
from ipclab.errors import BrokerUnavailableError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Any of these programs will do."""
BROWSER_PACKAGE = "chromium"
SSHD = "/usr/sbin/sshd"
JQ = "jq"
SSH_PACKAGES = ("openssh-client", "openssh-server")


def main() -> None:
    """Install what is missing, as root on Debian's family; without that, name the command."""
    missing = [kind for kind in kinds.OWN if not kinds.get(kind).find_program() and not url.find(kind)]
    wanted = install.packages(missing)
    if not any(map(shutil.which, BROWSERS)):
        wanted.append(BROWSER_PACKAGE)
    if shutil.which(JQ) is None:
        wanted.append(JQ)
    if shutil.which(SSHD) is None:
        wanted += SSH_PACKAGES
    if not wanted:
        return
    if not install.is_possible(asked=None):
        say(f"not installed: {', '.join(wanted)}; get them by: sudo apt-get install {' '.join(wanted)}")
        return
    # Apart, so that a system without one of them gets the others.
    usual = [package for package in wanted if package in install.packages(kinds.BUILT_IN)]
    for packages in (usual, *([package] for package in wanted if package not in usual)):
        if packages:
            say(f"installing {', '.join(packages)}")
            try:
                install.install_packages(packages)
            except BrokerUnavailableError as error:
                say(str(error))


def say(line: str) -> None:
    """To the one who runs the tests."""
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
