"""What Home Assistant's Supervisor hands out and is told, when the hub runs as its app."""
