"""Sinks: one module for each kind of destination."""
