"""Sources: messages of Kafka topics and AMQP queues become jobs; told only once it is on the disk (docs/sources.md)."""
