"""From a destination to a sink. A kind is loaded when the first of it is made: its library may be an extra."""

from __future__ import annotations

from hubqueue.forward.destination import Destination, HubDestination
from hubqueue.forward.sink import Sink
from hubqueue.forward.sinks.http.destination import HttpDestination
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.forward.sinks.influx.destination import InfluxDestination
from hubqueue.forward.sinks.kafka.destination import KafkaDestination
from hubqueue.forward.sinks.mqtt.destination import MqttDestination
from hubqueue.forward.sinks.postgres.destination import PostgresDestination
from hubqueue.system import SYSTEM, System


def make_sink(destination: Destination, system: System = SYSTEM) -> Sink:
    """A new sink, not yet connected. Errors: ImportError where an extra is missing."""
    match destination:
        case HubDestination():
            return HubSink(
                destination.link,
                queue=destination.queue,
                durable=destination.durable,
                write_timeout_s=destination.write_timeout_s,
            )
        case HttpDestination():
            from hubqueue.forward.sinks.http.sink import HttpSink

            return HttpSink(destination, system)
        case InfluxDestination():
            from hubqueue.forward.sinks.influx.sink import InfluxSink

            return InfluxSink(destination, system)
        case KafkaDestination():
            from hubqueue.forward.sinks.kafka.sink import KafkaSink

            return KafkaSink(destination)
        case MqttDestination():
            from hubqueue.forward.sinks.mqtt.sink import MqttSink

            return MqttSink(destination, system)
        case PostgresDestination():
            from hubqueue.forward.sinks.postgres.sink import PostgresSink

            return PostgresSink(
                destination.server,
                destination.table,
                durable=destination.durable,
                write_timeout_s=destination.write_timeout_s,
            )
        case _:
            raise TypeError(f"no sink is known for {destination!r}")
