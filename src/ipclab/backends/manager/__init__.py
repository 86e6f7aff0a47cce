"""Backends on ``multiprocessing.Manager``: its queue, list and dict as channels and as shared state."""
