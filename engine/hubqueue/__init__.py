"""hubqueue: a durable job queue for home and edge hubs."""

__version__ = "0.1.0"
