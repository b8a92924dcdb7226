"""Keeps the leases of a worker's runs alive: one batched extend in every third of a lease."""
