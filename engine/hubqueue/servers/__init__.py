"""Transports: they turn bytes into commands (`commands`), and replies and notifications into bytes."""
