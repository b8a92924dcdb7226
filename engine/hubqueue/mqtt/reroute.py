"""Messages that were kept, through the rules of today: what `hub.verbs.reroute` asks for those of MQTT."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hubqueue.hub.verbs.reroute import Rerouted
from hubqueue.ingest.outcome import Refused, Taken
from hubqueue.ingest.unread import unread, unread_data
from hubqueue.model.job import Job
from hubqueue.mqtt.envelope import UNREAD
from hubqueue.mqtt.routing import lanes_of
from hubqueue.mqtt.rules import Rule


class RulesAgain:
    """The rules of every lane. Errors: Invalid names the first rule that cannot be."""

    def __init__(self, rules: Sequence[Rule], *, invoke: bool = True) -> None:
        self._lanes = lanes_of(rules, invoke=invoke)

    def reroute(self, job: Job) -> Rerouted | None:
        """None: the job is no message of MQTT."""
        kept = unread(job, UNREAD)
        if kept is None:
            return None
        found = [each for routing in self._lanes.values() for each in routing.again(kept)]
        if not found:
            return Rerouted(reason="no_rule", error=f"no rule takes topic {kept.topic!r}")
        refused = [(key, each) for key, each in found if isinstance(each, Refused)]
        taken = [each for _, each in found if isinstance(each, Taken)]
        if not refused:
            return Rerouted(taken)
        rule, first = refused[0]
        others = (*kept.others, *(key for key, each in found if not isinstance(each, Refused)))
        data = unread_data(msgspec.structs.replace(kept, rule=rule, others=others))
        return Rerouted(taken, first.reason, first.error, data)
