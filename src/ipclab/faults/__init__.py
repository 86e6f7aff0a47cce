"""Faults of a worker, a broker or a connection during a trial, and how they are healed.

May import: ``host``, ``brokers``, ``history`` (to log the interval of a fault), ``errors``, and of
``backends`` the contract.
"""
