"""Every text of the dashboard, in each language: `texts/<language>/*.json`, flat keys, one file per page.

A text with a number has the forms `one` and `other`, chosen by `count`. Placeholders are `{name}`; whole numbers in
them are written as the language does. A key that is missing is a defect: tests compare the languages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from hubqueue.errors import Invalid

Entry = str | dict[str, str]

FOLDER: Final = Path(__file__).with_name("texts")
LANGUAGES: Final = ("en", "de")
GROUPING: Final = {"en": (",", "."), "de": (".", ",")}  # thousands, decimals


class Texts:
    """The texts of one language: `t("nav.overview")`, `t("alert.dead", count=37, queue="mail")`."""

    def __init__(self, language: str, entries: Mapping[str, Entry]) -> None:
        self.language = language
        self.entries = entries

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of a key. Errors: KeyError when there is none."""
        written = {name: self._written(value) for name, value in values.items()}
        return self.form(key, values).format_map(written)

    def form(self, key: str, values: Mapping[str, object]) -> str:
        """The text of a key with its placeholders, as the number in `count` wants it. Errors: KeyError."""
        entry = self.entries[key]
        return entry if isinstance(entry, str) else entry["one" if values.get("count") == 1 else "other"]

    def number(self, value: float, digits: int = 0) -> str:
        """A number as people of this language write it."""
        thousands, decimals = GROUPING[self.language]
        swap = {",": thousands, ".": decimals}
        return "".join(swap.get(char, char) for char in f"{value:,.{digits}f}")

    def _written(self, value: object) -> str:
        return self.number(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


@cache
def texts(language: str) -> Texts:
    """The texts of one of LANGUAGES. Read once."""
    entries: dict[str, Entry] = {}
    for path in sorted((FOLDER / language).glob("*.json")):
        for key, entry in json.loads(path.read_text(encoding="utf-8")).items():
            if key in entries:
                raise Invalid(f"{path.name} has the text {key!r} a second time")
            entries[key] = entry
    return Texts(language, entries)


def language_of(cookie: str | None, accepted: str) -> str:
    """What was chosen, else the first language that the browser prefers and we have, else English.

    accepted: the Accept-Language header.
    """
    if cookie in LANGUAGES:
        return cookie
    weighed = []
    for place, part in enumerate(accepted.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, tag.partition("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for weight, _, tag in sorted(weighed) if tag in LANGUAGES and weight < 0), LANGUAGES[0])
