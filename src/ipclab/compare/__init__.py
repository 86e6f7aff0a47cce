"""Compares two runs of an experiment: what became worse, what stayed the same, and what is undecided.

Pure, except for ``baselines``, which reads and writes files. May import: ``results``, and of the rooms below
it what ``tests/support/import_rules.py`` lists.
"""
