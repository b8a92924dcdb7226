"""The outgoing TCP client: sessions, the connection that keeps one alive, and the verbs over it."""
