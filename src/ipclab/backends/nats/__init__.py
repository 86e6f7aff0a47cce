"""Channels over a NATS server: core NATS, and streams of JetStream."""
