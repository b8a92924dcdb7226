"""The way to an MQTT broker: its address, one connection, messages. For the bridge and for forwarders."""
