"""What a trial without a measured window does, one file a scene: a fault, an order, a race, a client library.

Each file has ``play(stage)``; the workload objects in ``trial.workloads`` say which scene is theirs.
May import: what ``trial`` may, but not ``trial.workloads``.
"""
