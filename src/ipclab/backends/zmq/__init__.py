"""Channels over ZeroMQ, which has no broker."""
