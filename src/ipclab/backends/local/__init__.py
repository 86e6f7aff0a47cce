"""Backends of the standard library that need no server: pipes, queues, shared memory."""
