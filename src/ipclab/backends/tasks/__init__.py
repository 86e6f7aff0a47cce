"""Task queues: each framework with its own worker, and the pools of the standard library.

An adapter says how to submit a task and how to start a worker. The lab starts the worker, and every task
calls ``ipclab.tasks.effect``. Frameworks are imported inside functions: they come with ``ipclab[tasks]``.
"""
