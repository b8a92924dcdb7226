"""The sink that is an InfluxDB, by its line protocol."""
