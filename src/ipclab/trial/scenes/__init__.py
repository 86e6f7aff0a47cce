"""Trials without a measured window, one file per scene: a fault, an order, a race, a client library.

Each file has ``play(stage)``; the workload objects in ``trial.workloads`` say which scene is theirs.
May import: what ``trial`` may, but not ``trial.workloads``.
"""
