"""Which queues there are: those of the hub, and those that something here fills or works. Any other name is a typo.

Actions ask `async_check_queue` before they ask the hub, which makes a queue of every name that it is told.
Rule: what could not be looked up is not refused (Home Assistant is starting, the hub was not reached yet), for a
command that is refused is lost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, CoreState, HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util.hass_dict import HassKey

from .const import ACTIONS_QUEUE, ATTR_QUEUE, DOMAIN
from .errors import HubError
from .uplink import SUBENTRY_UPLINK

if TYPE_CHECKING:
    from .coordinator import HubqueueConfigEntry

# How often a queue is named by triggers that are attached, or by who has made it, with the entry (None: any).
NAMED: Final = HassKey[Counter[tuple[str | None, str]]](f"{DOMAIN}_named_queues")
# Before this those who name queues may not be there yet.
STARTED: Final = (CoreState.running, CoreState.stopping, CoreState.final_write)

LOOK_S: Final = 2.0  # a hub that hangs keeps no command waiting


def pattern_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """The queues that names with * and ? mean; None: there are no names."""
    each = [re.escape(name.strip()).replace(r"\*", ".*").replace(r"\?", ".") for name in names if name.strip()]
    return re.compile("|".join(each)) if each else None


@callback
def async_name_queue(hass: HomeAssistant, entry_id: str | None, queue: str, *, once: bool = False) -> CALLBACK_TYPE:
    """This queue is no typo until the answer is called, even if the hub has none yet: somebody works or makes it.

    once: however often it is said.
    """
    named = hass.data.setdefault(NAMED, Counter())
    named[entry_id, queue] = max(1, named[entry_id, queue]) if once else named[entry_id, queue] + 1

    @callback
    def forget() -> None:
        named[entry_id, queue] -= 1

    return forget


@callback
def async_named_here(hass: HomeAssistant, entry: HubqueueConfigEntry) -> set[str]:
    """The queues that triggers and subentries name, those that something waits for here, and that of run_action."""
    data = getattr(entry, "runtime_data", None)
    named = hass.data.get(NAMED) or Counter[tuple[str | None, str]]()
    return {
        ACTIONS_QUEUE,
        *(queue for (entry_id, queue), count in named.items() if count > 0 and entry_id in (None, entry.entry_id)),
        *(each.data[ATTR_QUEUE] for each in entry.subentries.values()),
        *(() if data is None else data.keeping.outbox.queues()),
    }


@callback
def async_is_forwarded(entry: HubqueueConfigEntry, queue: str) -> bool:
    """Whether a forwarder sends its jobs on, as far as that is known."""
    data = getattr(entry, "runtime_data", None)
    links = () if data is None else data.coordinator.data.links.values()
    uplinks = (each.data for each in entry.subentries.values() if each.subentry_type == SUBENTRY_UPLINK)
    return any(link.queue == queue for link in links) or any(each[ATTR_QUEUE] == queue for each in uplinks)


async def async_check_queue(
    hass: HomeAssistant, entry: HubqueueConfigEntry, queue: str, *, may_create: bool = False
) -> None:
    """Go on if there is this queue. may_create: the action can make one. Errors: ServiceValidationError."""
    data = getattr(entry, "runtime_data", None)
    if data is None or hass.state not in STARTED:
        return
    snapshot = data.coordinator.data
    if queue in snapshot.names:
        return
    known = snapshot.names | async_named_here(hass, entry) | {link.queue for link in snapshot.links.values()}
    if queue in known:
        return
    try:  # somebody may have made it a moment ago
        known |= set((await data.client.call("ListQueues", LOOK_S))["queues"])
    except HubError:
        if not snapshot.complete:
            return
    if queue in known:
        return
    raise _unknown("queue", queue, known, "_or_new" if may_create else "")


async def async_check_forwarder(entry: HubqueueConfigEntry, forwarder: str) -> None:
    """The same of a forwarder, which no action makes. Errors: ServiceValidationError."""
    data = getattr(entry, "runtime_data", None)
    if data is None or forwarder in data.coordinator.data.links:
        return
    try:
        known = {each["name"] for each in (await data.client.call("Forwarders"))["forwarders"]}
    except HubError:
        return  # the action will say why
    if forwarder not in known:
        raise _unknown("forwarder", forwarder, known)


def _unknown(kind: str, name: str, known: Collection[str], end: str = "") -> ServiceValidationError:
    near = get_close_matches(name, known, n=1)
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=f"no_{kind}{'_near' if near else ''}{end}",
        translation_placeholders={kind: name, **({"near": near[0]} if near else {})},
    )
