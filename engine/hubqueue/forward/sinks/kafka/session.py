"""One session of a producer: aiokafka's, with errors that say what is wrong and an end that never waits.

An idempotent producer tries for ever and keeps what it could not send, so a session is never used after a failure:
what it still holds is given up, and the jobs are sent again by the next one.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer, errors
from aiokafka.conn import create_conn

from hubqueue.client.tls import client_context
from hubqueue.errors import LinkDown
from hubqueue.forward.sinks.kafka.destination import Cluster, KafkaDestination

CLOSE_S: Final = 2.0
TOPIC_EVERY_S: Final = 0.1
REQUEST_BYTES: Final = 256 * 1024  # of one partition in one request

# What happens to the link is told by our own log, once and with the reason.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


async def open_producer(to: KafkaDestination) -> AIOKafkaProducer:
    """A producer that has met its cluster. Errors: those of the first server that said why not."""
    access = _access(to.cluster)
    await _knock(to.cluster, access)
    producer = AIOKafkaProducer(
        bootstrap_servers=to.cluster.bootstrap,
        client_id="hubqueue",
        acks="all",
        enable_idempotence=to.idempotent,
        compression_type=None if to.compression == "none" else to.compression,
        max_request_size=to.max_record,
        max_batch_size=min(to.max_record, REQUEST_BYTES),
        request_timeout_ms=max(1000, round(to.write_timeout_s * 1000)),
        **access,
    )
    try:
        await producer.start()
    except BaseException:
        await end(producer)
        raise
    return producer


async def end(producer: AIOKafkaProducer) -> None:
    """Give up what was not acknowledged, and every connection."""
    producer._message_accumulator.fail_all(errors.ProducerClosed())  # stop() alone would send all of it first
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await producer.client.close()
            await producer.stop()


async def is_reachable(producer: AIOKafkaProducer) -> bool:
    """Whether any broker answers now."""
    return bool(await producer.client.force_metadata_update())


async def lacks_topic(producer: AIOKafkaProducer, topic: str, wait_s: float) -> Exception | None:
    """Why nothing can be written to a topic; None: it is there. wait_s: brokers that make topics need a moment."""
    client = producer.client
    until_s = asyncio.get_running_loop().time() + wait_s
    await client.add_topic(topic)
    while not knows_topic(producer, topic):
        if topic in client.cluster.unauthorized_topics:
            return _raised(errors.TopicAuthorizationFailedError)
        if asyncio.get_running_loop().time() >= until_s:
            return _raised(errors.UnknownTopicOrPartitionError)
        await asyncio.sleep(TOPIC_EVERY_S)
        await client.force_metadata_update()
    return None


def knows_topic(producer: AIOKafkaProducer, topic: str) -> bool:
    return bool(producer.client.cluster.partitions_for_topic(topic))


async def _knock(cluster: Cluster, access: dict[str, Any]) -> None:
    """Connect once by hand: the producer would only say that it could not."""
    trouble: Exception | None = None
    for host, port in cluster.servers:
        try:
            connection = await create_conn(host, port, client_id="hubqueue", **access)
        except KeyError as error:  # aiokafka's, when a SCRAM server says "e=unknown-user" in its last message
            trouble = errors.AuthenticationFailedError("the cluster knows no such user")
            trouble.__cause__ = error
        except (OSError, errors.KafkaError) as error:
            trouble = trouble if trouble is not None and _says_more(trouble) else error
        else:
            connection.close()
            return
    assert trouble is not None  # there is at least one server
    if _says_more(trouble):
        raise trouble
    raise LinkDown(f"{cluster.url} cannot be reached: {trouble}") from trouble


def _raised(kind: type[Exception]) -> Exception:
    return kind()


def _says_more(error: Exception) -> bool:
    """Whether it is more than that nobody is there."""
    return isinstance(error, ssl.SSLError) or not isinstance(error, OSError | errors.KafkaConnectionError)


def _access(cluster: Cluster) -> dict[str, Any]:
    """How to get in, in the words of aiokafka."""
    secured = cluster.tls is not None
    access: dict[str, Any] = {"security_protocol": "SSL" if secured else "PLAINTEXT"}
    if cluster.tls is not None:
        access["ssl_context"] = client_context(cluster.tls)
    if cluster.user is not None:
        access |= {
            "security_protocol": "SASL_SSL" if secured else "SASL_PLAINTEXT",
            "sasl_mechanism": cluster.mechanism.upper(),
            "sasl_plain_username": cluster.user,
            "sasl_plain_password": cluster.password or "",
        }
    return access
