"""From an MQTT broker into queues: a message is acknowledged once its jobs are committed and synced."""
