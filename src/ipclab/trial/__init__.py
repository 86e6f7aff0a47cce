"""One measured run: spec, workers, hot loops, logs, ledger, record; one file a workload in ``workloads``.

May import: ``backends``, ``brokers``, ``faults``, ``history``, ``checks``, ``host``, ``errors``.
"""
