"""What may be said of the runs of jobs, wherever they run: by the trigger, the action `worker`, a subentry Worker."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import probatio as vol
from homeassistant.core import Context, HomeAssistant

from .durations import within
from .outcome import Complete, Fail, Keep, Outcome
from .success import async_not_so, expression
from .watched_calls import watched

ATTR_UNAVAILABLE: Final = "unavailable"
ATTR_SUCCESS: Final = "success"
ATTR_SUCCESS_WITHIN: Final = "success_within"
FAIL: Final = "fail"
IGNORE: Final = "ignore"
LONGEST: Final = timedelta(hours=1)

FIELDS: Final[dict[Any, Any]] = {
    vol.Optional(ATTR_UNAVAILABLE, default=FAIL): vol.In((FAIL, IGNORE)),
    vol.Optional(ATTR_SUCCESS): expression,
    vol.Optional(ATTR_SUCCESS_WITHIN, default=timedelta(seconds=30)): within(timedelta(), LONGEST),
}
SCHEMA: Final = vol.Schema(FIELDS, extra=vol.REMOVE_EXTRA)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """ignore: what is not there may be left out. success: what must be so in the end, within so long."""

    ignore: bool = False
    success: str | None = None
    within_s: float = 0.0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RunOptions:
        """Of what has these fields among others. Errors: Invalid."""
        told = SCHEMA(dict(given))
        return cls(told[ATTR_UNAVAILABLE] == IGNORE, told.get(ATTR_SUCCESS), told[ATTR_SUCCESS_WITHIN].total_seconds())

    def watching(self, context: Context, *, of_child: bool = False) -> AbstractContextManager[None]:
        """While the actions of a run are done; see watched_calls.py."""
        return watched(context, of_child=of_child, ignore=self.ignore)

    async def judged(self, hass: HomeAssistant, outcome: Outcome, variables: Mapping[str, Any]) -> Outcome:
        """A run that has come to its end has failed all the same if things are not as they should be then."""
        if self.success is None or not isinstance(outcome, (Complete, Keep)):
            return outcome
        problem = await async_not_so(hass, self.success, self.within_s, variables)
        return outcome if problem is None else Fail(problem)
