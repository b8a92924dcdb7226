"""The sink that is an MQTT broker."""
