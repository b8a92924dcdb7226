"""The only SQL. One SQLite file is the only state; everything in memory can be rebuilt from it."""
