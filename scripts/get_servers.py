"""Gets the servers that the tests need, where that may be done; else says how to get them.

Run before pytest, as `make test` does. Always ends well: a server that cannot be had skips the tests that
need it, with the reason, and with CI=true fails them.
"""

from __future__ import annotations

import sys

from ipclab.brokers import install, kinds, url
from ipclab.errors import BrokerUnavailableError


def main() -> None:
    """Install what is missing, as root on Debian's family; without that, name the command."""
    missing = [kind for kind in kinds.BUILT_IN if not kinds.get(kind).find_program() and not url.find(kind)]
    if not missing:
        return
    if not install.is_possible(asked=None):
        say(f"not installed: {', '.join(missing)}; get them by: {install.command(missing)}")
        return
    say(f"installing {', '.join(install.packages(missing))}")
    try:
        install.install(missing)
    except BrokerUnavailableError as error:
        say(str(error))


def say(line: str) -> None:
    """To the one who runs the tests."""
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
