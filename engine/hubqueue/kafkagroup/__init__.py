"""Pipelines beyond one machine: several processes in one Kafka consumer group run the same pipeline (docs/fleet.md)."""
