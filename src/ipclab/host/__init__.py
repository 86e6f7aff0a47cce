"""The services of a machine: clock, cores, meters, signals, start methods, child processes, stacks, folders.

May import: ``errors`` only. It knows nothing of backends, trials or results.
"""
