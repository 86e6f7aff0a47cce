"""One measured run: spec, workers, hot loops, logs, ledger, record; ``workloads`` and their ``scenes``.

May import: ``backends``, ``brokers``, ``faults``, ``history``, ``checks``, ``host``, ``hosts``, ``errors``.
"""
