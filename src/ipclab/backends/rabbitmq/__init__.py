"""Backends on a RabbitMQ server: classic and quorum queues, and shared state built from a queue."""
