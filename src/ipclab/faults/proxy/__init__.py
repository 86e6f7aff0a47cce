"""A TCP proxy in a process of its own, through which a trial delays, cuts or damages connections."""
