"""The sink that is an HTTP server."""
