"""Pure values and rules: no I/O, no asyncio. Everything else builds on these."""
