"""Several machines: the clock bound between them, and what starts and reaches workers there.

``clock_bound`` is pure, and ``echo`` imports only it and ``host``; ``trial``, ``results`` and ``report`` may
import ``clock_bound``.
"""
