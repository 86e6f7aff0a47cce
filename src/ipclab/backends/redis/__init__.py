"""Backends on a Redis server: lists, streams, pub/sub, counters, registers and locks."""
