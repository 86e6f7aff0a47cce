"""Backends on a memcached server: a ticket queue, counters, registers and locks."""
