"""PostgreSQL and TimescaleDB as a destination."""
