"""Forwarding: a forwarder leases jobs of one queue, writes them to a sink and completes them (docs/forwarding.md)."""
