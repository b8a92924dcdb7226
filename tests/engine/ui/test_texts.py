"""Texts: every one in each language, none in a template, and how numbers and plurals are chosen."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest

from hubqueue.ui.render import FOLDER
from hubqueue.ui.text import LANGUAGES, Texts, language_of, texts

TEMPLATES = sorted(FOLDER.glob("*.html"))
SPOKEN = {"title", "aria-label", "alt", "placeholder", "aria-description", "aria-roledescription", "label"}
USED = re.compile(r"""\bt\(\s*"([^"]+)"\s*[,)]""")
WORD = re.compile(r"[^\W\d_]{2,}")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def forms(t: Texts, key: str) -> dict[str, set[str]]:
    entry = t.entries[key]
    found = {"": entry} if isinstance(entry, str) else entry
    return {form: placeholders(text) for form, text in found.items()}


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_says_the_same(language: str) -> None:
    ours, theirs = texts(LANGUAGES[0]), texts(language)
    assert theirs.entries.keys() == ours.entries.keys()
    assert {key: forms(theirs, key) for key in ours.entries} == {key: forms(ours, key) for key in ours.entries}


def test_a_text_with_forms_has_both() -> None:
    wrong = [
        key
        for language in LANGUAGES
        for key, entry in texts(language).entries.items()
        if isinstance(entry, dict) and entry.keys() != {"one", "other"}
    ]
    assert wrong == []


class Literal(HTMLParser):
    """Words that stand in a template itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += WORD.findall(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{name}={value}" for name, value in attrs if name in SPOKEN and value and WORD.search(value)]


def literal(template: str) -> list[str]:
    parser = Literal()
    parser.feed(re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", template, flags=re.DOTALL))
    return parser.found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_words_of_its_own(path: Path) -> None:
    assert literal(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("template", ["<p>Hello</p>", '<input placeholder="Search">', '<a title="Go">{{ t("x") }}</a>'])
def test_a_word_in_a_template_is_found(template: str) -> None:
    assert literal(template)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_text_that_a_template_names_is_there(path: Path) -> None:
    named = set(USED.findall(path.read_text(encoding="utf-8")))
    assert named - texts("en").entries.keys() == set()


def test_numbers_are_written_as_the_language_does() -> None:
    values: dict[str, str | int] = {"name": "central", "count": 1204}
    assert texts("en")("alert.forwarder_paused", **values) == "Forwarder central is paused: 1,204 jobs wait."
    assert (
        texts("de")("alert.forwarder_paused", **values)
        == "Weiterleitung central ist angehalten: 1.204 Aufträge warten."
    )


def test_one_is_not_many() -> None:
    assert texts("en")("alert.dead", count=1, queue="mail") == "1 dead letter in mail."
    assert texts("en")("alert.dead", count=0, queue="mail") == "0 dead letters in mail."


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        (None, "fr,en;q=0.5,de;q=0.9", "de"),
        (None, "de;q=0, en", "en"),
        (None, "fr-CH, it", "en"),
        (None, "de;q=much", "en"),
        ("en", "de", "en"),
        ("de", "", "de"),
        ("xx", "de", "de"),
    ],
)
def test_the_language_is_chosen_then_preferred_then_english(cookie: str | None, accepted: str, language: str) -> None:
    assert language_of(cookie, accepted) == language
