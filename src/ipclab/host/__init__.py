"""The services of a machine: clock, cores, meters, signals, start methods, child processes, stacks, folders.

May import: ``errors`` and ``exit_codes`` only. It knows nothing of backends, trials or results.
"""
