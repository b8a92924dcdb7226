"""What goes wrong while an expression runs. Its messages are read by people: no words of Python in them."""

from __future__ import annotations


class ExpressionFailed(Exception):
    """The expression cannot be worked out for this record."""


class NotThere(Exception):
    """Text needs a value that is missing. place: which part of the template, counted from 0."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place
