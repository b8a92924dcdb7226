"""MQTT topics and the filters that take them: `+`, `#`, and named parts as in `sensors/{kind}/{room}`.

Rules and the invoke topic are written with these; the broker is asked for `subscription`, in which a named part
is a `+`. Keep it pure: matching is checked against the standard's own wording in the tests.
Source: MQTT 5.0, section 4.7.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest
from typing import Final

from hubqueue.errors import Invalid

MAX_TOPIC_BYTES: Final = 65_535  # MQTT 5.0, section 1.5.4: a string has a two-byte length
MAX_SLASHES: Final = 200  # Mosquitto's bound: more of them end the connection

# Brokers may end the connection for these, and Mosquitto does (MQTT 5.0, section 1.5.4): control characters, lone
# surrogates, and the code points that Unicode keeps for nobody.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)

_NAMED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}\Z")
_SHARED = re.compile(r"\$share/[^/+#]+/(?=.)", re.DOTALL)


class TopicFilter:
    """A topic filter, checked and compiled.

    Errors: Invalid says what is wrong with the text.
    """

    __slots__ = ("_match", "_shared", "levels", "names", "subscription", "text")

    def __init__(self, text: str) -> None:
        _check(text, "topic filter")
        shared = _SHARED.match(text)
        self.text: Final = text
        self._shared = shared.group() if shared else ""
        named = [_level(level, text) for level in text[len(self._shared) :].split("/")]
        self.names: Final = tuple(name for _, name in named if name)
        if len(set(self.names)) != len(self.names):
            raise Invalid(f"topic filter {_shown(text)} uses a named part twice", hint="give each part its own name")
        self.levels: Final = tuple(level for level, _ in named)
        if "#" in self.levels[:-1]:
            raise Invalid(f"topic filter {_shown(text)}: '#' may only be the last level")
        self.subscription: Final = self._shared + "/".join(self.levels)
        self._match = re.compile(_pattern(named), re.DOTALL).match

    def match(self, topic: str) -> dict[str, str] | None:
        """The named parts of a topic that this filter takes, else None."""
        found = self._match(topic)
        return found.groupdict() if found else None

    def covers(self, other: TopicFilter) -> bool:
        """Whether every topic that the other takes is taken by this one. Shared subscriptions cover only themselves."""
        if self._shared or other._shared:
            return self.subscription == other.subscription
        if other.levels[0].startswith("$") and self.levels[0] in ("+", "#"):
            return False
        for index, level in enumerate(self.levels):
            if level == "#":
                return True
            if index == len(other.levels) or other.levels[index] == "#":
                return False
            if level not in ("+", other.levels[index]):
                return False
        return len(self.levels) == len(other.levels)

    def overlaps(self, other: TopicFilter) -> bool:
        """Whether some topic is taken by both. Of shared subscriptions the topics are compared, not the groups."""
        ours, others = self.levels, other.levels
        if any(wild[0] in ("+", "#") and text[0].startswith("$") for wild, text in ((ours, others), (others, ours))):
            return False
        for one, another in zip_longest(ours, others):
            if "#" in (one, another):
                return True
            if one is None or another is None or (one != another and "+" not in (one, another)):
                return False
        return True

    @property
    def shared(self) -> bool:
        """Whether several clients get one copy of each message between them."""
        return bool(self._shared)

    def __repr__(self) -> str:
        return f"TopicFilter({self.text!r})"


def widest(filters: Iterable[TopicFilter]) -> list[TopicFilter]:
    """The fewest of these filters that together take what all of them take, in their order.

    A broker may send a message once for each subscription that takes it: what is covered is not subscribed.
    """
    kept: list[TopicFilter] = []
    for candidate in filters:
        if not any(wide.covers(candidate) for wide in kept):
            kept = [narrow for narrow in kept if not candidate.covers(narrow)]
            kept.append(candidate)
    return kept


def check_topic(topic: str) -> str:
    """A topic that may be published to, or Invalid."""
    _check(topic, "topic")
    if "+" in topic or "#" in topic:
        raise Invalid(f"topic {_shown(topic)} holds a wildcard", hint="'+' and '#' belong into topic filters only")
    return topic


def _check(text: str, what: str) -> None:
    if not text:
        raise Invalid(f"a {what} must not be empty")
    odd = _FORBIDDEN.search(text)
    if odd is not None:
        raise Invalid(
            f"{what} {_shown(text)} holds a character that MQTT forbids, U+{ord(odd.group()):04X}",
            hint="no control characters such as line breaks, and no surrogates",
        )
    if len(text.encode()) > MAX_TOPIC_BYTES:
        raise Invalid(f"a {what} may have at most {MAX_TOPIC_BYTES} bytes")
    if text.count("/") > MAX_SLASHES:
        raise Invalid(f"{what} {_shown(text)} has too many levels", hint=f"brokers take at most {MAX_SLASHES} slashes")


def _shown(text: str) -> str:
    """For a message to people: its begin is enough to know it."""
    return repr(text if len(text) <= 100 else f"{text[:100]}...")


def _level(level: str, text: str) -> tuple[str, str | None]:
    """A level as the broker sees it, and its name if it has one."""
    named = _NAMED.match(level)
    if named:
        return "+", named.group(1)
    if "{" in level or "}" in level:
        hint = "write a named part as {name}, with letters, digits and _, as in sensors/{kind}/{room}"
        raise Invalid(f"topic filter {_shown(text)}: {_shown(level)} is not a named part", hint=hint)
    if level not in ("+", "#") and ("+" in level or "#" in level):
        raise Invalid(
            f"topic filter {_shown(text)}: {_shown(level)} mixes a wildcard with text",
            hint="a wildcard is a whole level",
        )
    return level, None


def _pattern(levels: list[tuple[str, str | None]]) -> str:
    """A regular expression for whole topics. `#` takes its parent level too; a leading wildcard takes no `$` topic."""
    guard = r"(?!\$)" if levels[0][0] in ("+", "#") else ""
    parts = []
    for index, (level, name) in enumerate(levels):
        slash = "/" if index else ""
        if name:
            parts.append(f"{slash}(?P<{name}>[^/]*)")
        elif level == "+":
            parts.append(slash + "[^/]*")
        elif level == "#":
            parts.append("(?:/.*)?" if index else ".*")
        else:
            parts.append(slash + re.escape(level))
    return guard + "".join(parts) + r"\Z"
