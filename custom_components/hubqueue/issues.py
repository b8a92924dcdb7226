"""What somebody should look at: raised while it is so, said anew when what it says has changed, taken back after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from . import pages
from .const import DOMAIN


@dataclass(frozen=True, slots=True)
class Issue:
    """told: the placeholders of its texts. data: what its repair has to know besides."""

    key: str
    told: dict[str, str]
    data: Mapping[str, str | None]
    fixable: bool
    severity: ir.IssueSeverity


class Raised:
    """The issues of one who watches, by their ids."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._issues: dict[str, Issue] = {}

    @callback
    def keep(self, wanted: Mapping[str, Issue]) -> None:
        """These there should be, and no others."""
        for id in self._issues.keys() - wanted.keys():
            ir.async_delete_issue(self._hass, DOMAIN, id)
        for id, issue in wanted.items():
            if self._issues.get(id) != issue:
                self._raise(id, issue)
        self._issues = dict(wanted)

    def _raise(self, id: str, issue: Issue) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            id,
            is_fixable=issue.fixable,
            severity=issue.severity,
            learn_more_url=pages.REPAIRS,
            translation_key=issue.key,
            translation_placeholders=issue.told,
            data={**issue.data, **issue.told},
        )
