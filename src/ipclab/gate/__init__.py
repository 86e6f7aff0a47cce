"""The runs behind a gate: one side alone, the same side several times, or two sides in turns.

May import: the rooms that ``lab`` may import, ``lab`` and ``compare``. Prints nothing.
"""
