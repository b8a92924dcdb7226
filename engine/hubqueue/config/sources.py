"""The keys of one source (sources[n]). The scheme of `from` chooses the kind, which has a section of its own."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from hubqueue.client.address import Tls
from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.joboptions import made, option_keys
from hubqueue.config.mistakes import Wrong
from hubqueue.config.rules import PayloadCheck
from hubqueue.errors import Invalid
from hubqueue.expression import Condition, Text
from hubqueue.ingest.into import Into
from hubqueue.model import limits
from hubqueue.model.forwarding import check_forwarder_name
from hubqueue.model.option import Door
from hubqueue.sources.address import check_amqp, check_instance, kafka_address
from hubqueue.sources.message import NAMES
from hubqueue.sources.routing import SourceRouting
from hubqueue.sources.settings import AmqpSource, KafkaSource, Source

_SCHEMES: Final = {"kafka": False, "kafkas": True, "amqp": False, "amqps": True}
_TLS: Final = ("ca_file", "cert_file", "key_file")
_INTO: Final = ("queue", "payload", "shape", "where", "on_full", "priority", "delay_ms", "max_attempts", "options")
_LIBRARIES: Final = {"kafka": "aiokafka", "amqp": "aio_pika"}


class Sources(checks.Each):
    """The list of sources: each has a name of its own."""

    def __init__(self, base: Path) -> None:
        super().__init__(source(base))

    def __call__(self, value: Any) -> tuple[Source, ...]:
        made: tuple[Source, ...] = super().__call__(value)
        names = [each.name for each in made]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise Wrong("is another source's name already", name, path=[index, "name"])
        return made


def source(base: Path) -> Check:
    """The check of one source, which becomes a KafkaSource or an AmqpSource."""
    return checks.Section(
        {
            "name": checks.from_engine(check_forwarder_name),
            "from": _address,
            "kafka": kafka(base),
            "amqp": amqp(base),
            "ca_file": checks.existing_file(base),
            "cert_file": checks.existing_file(base),
            "key_file": checks.existing_file(base),
            "queue": checks.text,
            "job_name": checks.text,
            "payload": PayloadCheck(),
            "shape": checks.choice("payload", "message"),
            "where": checks.valid(lambda text: Condition(text, NAMES)),
            "on_full": checks.choice("wait", "overflow", "drop"),
            **option_keys(Door.SOURCE, lambda text: Text(text, NAMES)),
        },
        required=("name", "from", "queue"),
        build=_source,
    )


def kafka(base: Path) -> Check:
    return checks.Section(
        {
            "start": checks.choice("earliest", "latest"),
            "username": checks.text,
            "password": checks.text,
            "password_file": checks.secret_file(base),
            "mechanism": checks.choice("scram-sha-512", "scram-sha-256", "plain"),
            "session": checks.duration_s(1, 1800),
            "instance": checks.from_engine_text(check_instance),
        }
    )


def amqp(base: Path) -> Check:
    return checks.Section(
        {
            "queue": checks.text,
            "username": checks.text,
            "password": checks.text,
            "password_file": checks.secret_file(base),
            "prefetch": checks.integer(1, 65_535),
            "remember": checks.duration_ms(1000, limits.MAX_DELAY_MS),
        },
        required=("queue",),
    )


def _source(clean: dict[str, Any]) -> Source:
    address = clean["from"]
    scheme = address.partition("://")[0]
    kind = scheme.rstrip("s")
    for other in ("kafka", "amqp"):
        if other in clean and other != kind:
            raise Wrong(f"makes no sense with {scheme}:// in 'from'", hint=f"the section is {kind}", path=[other])
    own = clean.get(kind) or {}
    if "password" in own and "password_file" in own:
        raise Wrong("cannot be used together with password", hint="keep one of the two", path=[kind, "password_file"])
    password = own.get("password_file") or own.get("password")
    if importlib.util.find_spec(_LIBRARIES[kind]) is None:
        raise Wrong("needs a library that is missing", hint=f"pip install 'hubqueue[{kind}]'", path=["from"])
    into = _into(clean)
    SourceRouting(clean["name"], into)  # raises what only all keys together show
    tls = _tls(clean, scheme)
    if kind == "kafka":
        return _kafka(clean["name"], address, own, password, tls, into)
    return _amqp(clean["name"], address, own, password, tls, into)


def _kafka(
    name: str, address: str, own: dict[str, Any], password: str | None, tls: Tls | None, into: Into
) -> KafkaSource:
    said = kafka_address(address)
    username = own.get("username", said.username)
    password = password or said.password
    if (username is None) != (password is None):
        raise Wrong("username and password go together", path=["kafka"])
    brokers = replace(said.brokers, tls=tls, username=username, password=password)
    if "mechanism" in own:
        brokers = replace(brokers, mechanism=own["mechanism"].upper())
    settings: dict[str, Any] = {
        target: own[key]
        for key, target in {"start": "start", "session": "session_s", "instance": "instance"}.items()
        if key in own
    }
    group: dict[str, Any] = {} if said.group is None else {"group": said.group}
    return KafkaSource(name=name, brokers=brokers, topics=said.topics, into=into, **group, **settings)


def _amqp(
    name: str, address: str, own: dict[str, Any], password: str | None, tls: Tls | None, into: Into
) -> AmqpSource:
    if "queue" not in own:
        raise Wrong("is missing", hint="amqp: {queue: ...} names the queue of the broker", path=["amqp"])
    settings = {
        target: own[key] for key, target in {"prefetch": "prefetch", "remember": "remember_ms"}.items() if key in own
    }
    url = _signed_in(address, own.get("username"), password)
    return AmqpSource(name=name, url=url, queue=own["queue"], into=into, tls=tls, **settings)


def _signed_in(address: str, username: str | None, password: str | None) -> str:
    """The address with the user and password that keys of their own say."""
    parts = urlsplit(address)
    user = username or (unquote(parts.username) if parts.username else None)
    secret = password or (unquote(parts.password) if parts.password else None)
    if user is None:
        if secret is not None:
            raise Wrong("needs username beside it", path=["amqp", "password"])
        return address
    host = parts.netloc.rpartition("@")[2]
    login = quote(user, safe="") + (f":{quote(secret, safe='')}" if secret is not None else "")
    return parts._replace(netloc=f"{login}@{host}").geturl()


def _into(clean: dict[str, Any]) -> Into:
    settings = {key: value for key, value in made(clean, Door.SOURCE).items() if key in _INTO}
    return Into(**settings, **({"name": clean["job_name"]} if "job_name" in clean else {}))


def _tls(clean: dict[str, Any], scheme: str) -> Tls | None:
    files = {key: clean[key] for key in _TLS if key in clean}
    if not _SCHEMES[scheme]:
        for name in files:
            raise Wrong(
                "makes no sense without encryption", hint=f"write {scheme}s:// instead of {scheme}://", path=[name]
            )
        return None
    if "key_file" in files and "cert_file" not in files:
        raise Wrong("needs cert_file beside it", path=["key_file"])
    ca, cert, key = (str(files[name]) if name in files else None for name in _TLS)
    return Tls(ca, cert, key)


def _address(value: Any) -> str:
    text = checks.text(value)
    scheme = text.partition("://")[0]
    if scheme not in _SCHEMES:
        return str(checks.url(*_SCHEMES)(value))
    try:
        if scheme.startswith("kafka"):
            kafka_address(text)
        else:
            check_amqp(text)
    except Invalid as error:
        raise Wrong(error.message, value, hint=error.hint) from error
    return text
