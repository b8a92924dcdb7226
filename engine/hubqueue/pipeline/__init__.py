"""Pipelines: records from a queue or a topic through configured steps to queues, channels and sinks."""
