"""The conformance suite: every promise of a backend, checked on the backend itself.

A *promise* is a sentence that follows from the contract and from what a backend declares, and a function that
checks it on a ``Bench``. The same functions run under pytest in this repository (``tests/conformance``) and
in ``ipclab conform``, which needs no pytest. May import: ``backends``, ``brokers``, ``experiment``,
``host``, ``trial``.
"""
