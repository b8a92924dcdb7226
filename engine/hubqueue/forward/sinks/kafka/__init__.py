"""Kafka as a destination."""
