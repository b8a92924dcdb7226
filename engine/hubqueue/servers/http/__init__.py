"""The HTTP listener: REST, WebSocket, server-sent events, metrics, and what serves the dashboard's pages."""
