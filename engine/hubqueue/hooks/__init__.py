"""Sending events to webhooks by HTTP."""
