"""Text with values of the message in it, as the queue, the name, the dedup key and the group of its job are written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import copy
from typing import Self

from hubqueue.errors import Invalid
from hubqueue.expression import ExpressionFailed, QueueName, Text
from hubqueue.model.dataname import queue_from_data
from hubqueue.model.limits import check_queue


class Template:
    """One without values is checked once and costs nothing more."""

    __slots__ = ("_early", "_made", "_text", "_what", "fixed")

    def __init__(
        self,
        what: str,
        text: str,
        names: Collection[str],
        *,
        early: Collection[str] = (),
        written: Callable[[str], object] = str,
        made: Callable[[str], object] = str,
    ) -> None:
        """names: what it may name; early: those of them that are known before the message, see `at`.

        written: checks a text without values; made: one that values have a part in. Errors: Invalid.
        """
        self._what = what
        self._made = made
        self._text = self._compiled(text, names)
        self._early = self._names_only(text, early)
        self.fixed = None if "{" in text else text
        if self.fixed is not None:
            written(text)

    def _compiled(self, text: str, names: Collection[str]) -> Text:
        return Text(text, names)

    def _names_only(self, text: str, names: Collection[str]) -> bool:
        try:
            self._compiled(text, names)
        except Invalid:
            return False
        return True

    def at(self, early: Mapping[str, object]) -> Self:
        """The template where the early names have these values: fixed, if it needs no others.

        What cannot be made of them cannot be made of any message: it is left to `of` to say so.
        """
        if self.fixed is not None or not self._early:
            return self
        try:
            text = self.of(early)
        except (ExpressionFailed, Invalid):
            return self
        found = copy(self)
        found.fixed = text
        return found

    def of(self, values: Mapping[str, object]) -> str:
        """The text with these values in it. Errors: ExpressionFailed; Invalid where it cannot be what it is for."""
        if self.fixed is not None:
            return self.fixed
        try:
            text = self._text.render(values)
        except ExpressionFailed as error:
            raise ExpressionFailed(f"no {self._what}: {error}") from error
        self._made(text)
        return text


class QueueTemplate(Template):
    """The name of a queue.

    Errors: Invalid, also for a name that is empty, too long, or that a value made an internal one.
    """

    __slots__ = ()

    def __init__(self, text: str, names: Collection[str], *, early: Collection[str] = ()) -> None:
        internal = text.startswith("_")
        super().__init__(
            "queue",
            text,
            names,
            early=early,
            written=check_queue,
            made=lambda name: queue_from_data(name, internal=internal),
        )

    def _compiled(self, text: str, names: Collection[str]) -> Text:
        return QueueName(text, names)
