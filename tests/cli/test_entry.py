"""The program before its command line is there."""

import subprocess
import sys

EARLY = """
import os, signal, sys
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "ipclab.cli":
            os.kill(os.getpid(), signal.SIGINT)
        return None
sys.meta_path.insert(0, Slow())
from ipclab.entry import main
main()
"""


def test_ctrl_c_while_the_program_is_still_being_imported_is_quiet() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_module_runs_as_the_program_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ipclab", "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("ipclab, version")


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import ipclab.cli; ipclab.cli.main = lambda: print(signal.getsignal(signal.SIGINT).name)\n"
        "from ipclab.entry import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.strip() == "SIG_IGN"
