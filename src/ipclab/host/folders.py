"""The folder with the raw logs of one trial, and what is done about those that a killed lab left behind."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ipclab.host.interruptions import ending_blocked

_PREFIX = "ipclab-trial-"


@contextmanager
def trial_folder() -> Iterator[Path]:
    """A new folder that only this user can read, deleted at the end. Its name says whose it is."""
    folder = None
    try:
        with ending_blocked():
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        yield folder
    finally:
        # To delete large logs takes a while, and an interruption meanwhile would leave the rest of them.
        with ending_blocked():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Delete the folders of this user's labs that were killed. Those of labs that run stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        match = re.fullmatch(rf"{_PREFIX}(\d+)-\w+", folder.name)
        try:
            made_s = folder.lstat().st_mtime
            ours = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
        except OSError:
            continue
        if match and ours and not _made_it(int(match[1]), made_s):
            shutil.rmtree(folder, ignore_errors=True)


def _made_it(pid: int, made_s: float) -> bool:
    """Whether the process that has this pid now is older than the folder, so that it may have made it."""
    try:
        return psutil.Process(pid).create_time() <= made_s + 1
    except psutil.Error:
        return False
