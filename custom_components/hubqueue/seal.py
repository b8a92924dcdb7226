"""The secret of this Home Assistant, with which its calls of actions are sealed, and what is done of them is noted.

Whoever may enqueue at the hub may not do everything at home: a call that was not sealed here, or not for this job, is
not done. What is noted as done is sealed too, as what is done is left out. Without its note a call is done once more.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from homeassistant.core import HomeAssistant
from homeassistant.helpers.json import json_dumps
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey

from .connection import as_json
from .const import DOMAIN

REMEMBERED: Final = 10_000  # calls that are done, so that none is done again when it comes again
STORE: Final = HassKey["Seal"](f"{DOMAIN}_seal")


class Seal:
    """What this Home Assistant keeps: its secret, and the queues that its calls were put into, by entry."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._store = Store[dict[str, Any]](hass, 1, f"{DOMAIN}.actions", private=True)
        self._kept: dict[str, Any] = {}
        self._loading = asyncio.Lock()
        self.ended = OrderedDict[str, Any]()  # what calls that are done have answered, since the start

    async def async_load(self) -> None:
        """Read what is kept, or make it; once, however many ask for it at once."""
        async with self._loading:
            if self._kept:
                return
            kept = await self._store.async_load() or {}
            if "secret" not in kept:
                kept = {"secret": secrets.token_hex(32), "home": secrets.token_hex(8), "queues": {}}
                await self._store.async_save(kept)
            self._kept = kept

    def queues(self, entry_id: str) -> list[str]:
        """Where calls may wait."""
        return list(self._kept["queues"].get(entry_id, ()))

    async def async_add_queue(self, entry_id: str, queue: str) -> None:
        """Calls may wait in this queue from now on."""
        if queue not in self.queues(entry_id):
            self._kept["queues"].setdefault(entry_id, []).append(queue)
            await self._store.async_save(self._kept)

    def remember(self, id: str, result: Any) -> None:
        """A call is done."""
        self.ended[id] = result
        self.ended.move_to_end(id)
        if len(self.ended) > REMEMBERED:
            self.ended.popitem(last=False)

    def close(self, call: Mapping[str, Any], id: str) -> dict[str, Any]:
        """The data of a job. Errors: HubError: the call is not one that JSON can say."""
        sealed = as_json({**call, "id": id})
        return {
            "action": call["action"],
            "home": self._kept["home"],
            "sealed": sealed,
            "signature": self._sign(sealed),
        }

    def is_ours(self, data: Any) -> TypeGuard[Mapping[str, Any]]:
        return isinstance(data, Mapping) and data.get("home") == self._kept["home"]

    def open(self, data: Mapping[str, Any], id: str) -> dict[str, Any] | None:
        """The call; None: it was not sealed here, or not for this job."""
        return self._read(data.get("sealed"), data.get("signature"), id)

    def note(
        self, data: Mapping[str, Any], id: str, done: Mapping[str, str], progress: Mapping[str, str]
    ) -> dict[str, Any]:
        """The data with what is done of the call. progress: the same for people."""
        noted = json_dumps({"done": done, "id": id})
        return {**data, "progress": dict(progress), "noted": noted, "noted_signature": self._sign(noted)}

    def done(self, data: Mapping[str, Any], id: str) -> dict[str, str]:
        """What is done of the call; nothing, unless it was noted here for this job."""
        noted = self._read(data.get("noted"), data.get("noted_signature"), id)
        return {} if noted is None else dict(noted.get("done", {}))

    def _read(self, sealed: Any, signature: Any, id: str) -> dict[str, Any] | None:
        text = sealed if isinstance(sealed, str) else ""
        if not hmac.compare_digest(self._sign(text).encode(), str(signature).encode(errors="replace")):
            return None
        read: dict[str, Any] = json.loads(text)
        return read if read["id"] == id else None

    def _sign(self, text: str) -> str:
        return hmac.new(self._kept["secret"].encode(), text.encode(errors="replace"), hashlib.sha256).hexdigest()


async def async_seal(hass: HomeAssistant) -> Seal:
    """The one of this Home Assistant."""
    seal = hass.data.setdefault(STORE, Seal(hass))
    await seal.async_load()
    return seal
