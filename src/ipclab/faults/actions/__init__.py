"""One file per fault, with one object each; ``ipclab.faults.registry`` lists them.

A new fault is a file here and an entry in that list.
"""
