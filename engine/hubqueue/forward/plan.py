"""What one forwarder of a hub is to do, wherever it was declared: the configuration and the job file both end here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from hubqueue.client.address import LinkSettings, Tls
from hubqueue.client.tls import client_context
from hubqueue.errors import Invalid
from hubqueue.forward.destination import Destination, HubDestination
from hubqueue.forward.settings import ForwardSettings
from hubqueue.model.forwarding import ForwardSpec, check_forwarder_name, check_server_name
from hubqueue.model.hours import Calendar, Hours
from hubqueue.model.limits import check_number, check_queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What Uplink runs."""

    name: str
    queue: str
    destination: Destination
    declared: Literal["config", "runtime"]
    hours: Hours | None = None
    calendar: Calendar | None = field(default=None, repr=False, compare=False)
    settings: ForwardSettings = field(default_factory=ForwardSettings)


def plan_of(spec: ForwardSpec, *, zone: str | None) -> Plan:
    """The plan of a forwarder from the job file; `zone` is the hub's. Errors: Invalid names the first mistake."""
    check_forwarder_name(spec.name)
    check_queue(spec.queue)
    if spec.target is not None:
        check_queue(spec.target)
    check_number("writeTimeout", spec.write_timeout_ms, 10, 3_600_000)
    settings = ForwardSettings(
        concurrency=spec.concurrency,
        batch=spec.batch,
        rate_per_s=spec.rate_per_s,
        backoff_s=spec.backoff_ms / 1000,
        backoff_cap_s=spec.backoff_cap_ms / 1000,
    )
    return Plan(
        name=spec.name,
        queue=spec.queue,
        destination=HubDestination(
            _link(spec, settings.connect_timeout_s), spec.target, spec.durable, spec.write_timeout_ms / 1000
        ),
        declared="runtime",
        hours=spec.hours,
        calendar=None if spec.hours is None else spec.hours.calendar(zone),
        settings=settings,
    )


def _link(spec: ForwardSpec, connect_timeout_s: float) -> LinkSettings:
    scheme, colon, _ = spec.to.partition("://")
    if colon and scheme not in ("tcp", "tls"):
        hint = "write tls://host:6789, or declare this one in hubqueue.yaml: there it may be of any kind"
        raise Invalid(f"a forwarder that is made while the hub runs goes to a hub, not to {scheme}://", hint=hint)
    link = LinkSettings.from_url(spec.to, token=spec.token, connect_timeout_s=connect_timeout_s)
    if spec.server_name is not None:
        check_server_name(spec.server_name)
    standard = link.tls or Tls()
    tls = replace(
        standard,
        ca_text=spec.ca_cert,
        cert_text=spec.client_cert,
        server_name=spec.server_name,
        verify=spec.verify,
    )
    if tls == standard:
        return link
    if link.tls is None:
        what = "caCert, clientCert, serverName and verify make no sense without encryption"
        raise Invalid(what, hint="write tls:// instead of tcp:// in 'to'")
    client_context(tls)
    return replace(link, tls=tls)
