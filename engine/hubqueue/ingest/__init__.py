"""From messages to jobs, the same for MQTT, Kafka, AMQP and what devices POST."""
