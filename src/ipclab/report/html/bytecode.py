"""Keeps compiled templates beside their sources, as Python does with its modules.

The page is made at the end of every run, and the compilation of its templates takes longer than the rest.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
from pathlib import Path

from jinja2.bccache import Bucket, FileSystemBytecodeCache


class BesideSource(FileSystemBytecodeCache):
    """Stores the bytecode of the templates of ``folder`` in its ``__pycache__``, where that can be written.

    It writes nothing where Python writes no bytecode either (``PYTHONDONTWRITEBYTECODE``).
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / "__pycache__"), f"%s.{sys.implementation.cache_tag}.cache")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read the bytecode of one template; leave it to be compiled where the file cannot be read."""
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, pickle.UnpicklingError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write the bytecode of one template; do nothing where the folder cannot be written."""
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)
