"""Every way to share state that the lab measures: the contract, the registry, and one folder a family.

An adapter only adapts: it reads no clock, keeps no statistics, logs nothing, and never retries.
May import: ``host`` and ``errors``. Never ``checks``, ``results`` or ``trial``.
"""
