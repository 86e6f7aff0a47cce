"""What a running program hangs in, seen from outside: the program is not stopped, changed or asked.

``spy``, ``tasks``, ``ends``, ``sockets`` and ``semaphores`` read facts: from py-spy, from /proc, from the
memory of a process. ``look`` collects them, ``facts`` says what they are. ``names``, ``waking`` and
``hazards`` are pure rules on these facts: what each thread waits in, what could wake it, and which known
hazard it is. ``catalogue`` has the hazards, ``finding`` what is reported.

May import: ``host`` and ``trial.primitive``.
"""
