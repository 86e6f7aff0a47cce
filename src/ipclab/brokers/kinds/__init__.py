"""Everything that is specific to one kind of server: one module or package per kind.

``base`` has the contract ``ServerKind``; ``registry`` has the built-in kinds and those of installed packages
(entry points of the group ``ipclab.brokers``). May import ``backends``, ``host``, ``errors``, and of
``brokers`` only ``base`` and ``programs``.
"""

from ipclab.brokers.kinds.registry import BUILT_IN, OWN, get, names, usable, usual, variables

__all__ = ["BUILT_IN", "OWN", "get", "names", "usable", "usual", "variables"]
