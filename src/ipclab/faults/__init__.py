"""What can be done to a worker, a broker or a connection while a trial runs, and how it is healed.

May import: ``host``, ``brokers``, ``history`` (to log the interval of a fault), ``errors``, and of
``backends`` the contract.
"""
