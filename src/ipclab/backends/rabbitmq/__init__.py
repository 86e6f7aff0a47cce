"""Backends on a RabbitMQ server: classic and quorum queues, and what can be built of a queue."""
