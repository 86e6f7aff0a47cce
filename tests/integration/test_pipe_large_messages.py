"""A pipe carries what fits into memory: no size of its own ends it."""

from __future__ import annotations

import mmap
import subprocess
import sys

from ipclab.backends.base import Site
from ipclab.backends.local.pipe import PipeChannel

ABOVE_2_GIB = 2**31 + 5
READER = """
import os, struct, sys
reading = int(sys.argv[1])
(length,) = struct.unpack("!i", os.read(reading, 4))
if length == -1:
    (length,) = struct.unpack("!Q", os.read(reading, 8))
came = 0
while came < length:
    came += len(os.read(reading, min(1 << 20, length - came)))
print(length, came)
"""
"""Reads a whole message without keeping it; prints the length that was announced, and what came."""


def test_a_message_of_more_than_2_gib_goes_through_a_pipe() -> None:
    channel = PipeChannel(Site(namespace="ipclab:test", url=None))
    assert channel.guarantees.max_message_bytes is None
    channel.setup()
    assert channel._ends is not None
    reading = channel._ends[0].fileno()
    command = [sys.executable, "-c", READER, str(reading)]
    try:
        # Pages that nobody has written to take no memory.
        with (
            subprocess.Popen(command, pass_fds=[reading], stdout=subprocess.PIPE, text=True) as reader,
            mmap.mmap(-1, ABOVE_2_GIB) as body,
        ):
            channel.producer(0).send(body)  # type: ignore[arg-type]
            told, _ = reader.communicate()
    finally:
        channel.teardown()
    assert told.split() == [str(ABOVE_2_GIB)] * 2
