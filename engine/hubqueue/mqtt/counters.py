"""What each rule has done since the bridge started. Lanes write it, the rules page reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubqueue.ingest.outcome import Outcome, Refused, Taken
from hubqueue.mqtt.rules import Rule


@dataclass(slots=True)
class RuleCounters:
    """matched: messages that became jobs; passed: left out as the rule says; failed: kept in `_unroutable`.

    Units: messages; *_at_ms Unix milliseconds.
    """

    matched: int = 0
    passed: int = 0
    failed: int = 0
    last_at_ms: int | None = None
    failed_at_ms: int | None = None
    error: str | None = None


class Counters:
    """One for each rule, by the rule itself: two rules may be equal."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._of = {id(rule): (rule, RuleCounters()) for rule in rules}  # the rule is kept: its id stays its own

    def of(self, rule: Rule) -> RuleCounters:
        return self._of[id(rule)][1]

    def count(self, outcome: Outcome, now_ms: int) -> None:
        """Note what became of one message by one rule; invokes and topics without a rule are nobody's."""
        if outcome.into is None:
            return
        tally = self._of[id(outcome.into)][1]
        tally.last_at_ms = now_ms
        if isinstance(outcome, Taken):
            tally.matched += 1
        elif isinstance(outcome, Refused):
            tally.failed += 1
            tally.failed_at_ms = now_ms
            tally.error = outcome.error
        else:
            tally.passed += 1
