"""Names from data: any script, never two texts for one name."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubqueue.errors import Invalid
from hubqueue.model.dataname import escaped, queue_from_data
from hubqueue.model.limits import check_queue

# texts that are, or nearly are, escapes, next to what has to be escaped
TEXTS = st.text(max_size=12) | st.text(alphabet="x:-af0_ü ", max_size=12)
LOOKALIKE = re.compile(r":x[0-9a-f]+(?:-[0-9a-f]+)*(?:[^A-Za-z0-9_.-])")


def read_back(name: str) -> str:
    """The text that a name stands for: every escape, from the left, by its characters."""
    return re.sub(
        r":x([0-9a-f]+(?:-[0-9a-f]+)*):",
        lambda found: "".join(chr(int(code, 16)) for code in found[1].split("-")),
        name,
    )


@given(TEXTS)
@example(":xab:xcd:")
@example(":xabü")
@example("x:xfc")
@example(":x3a:xfc:")
def test_every_text_is_read_back_from_its_name(text: str) -> None:
    """So two different texts can never meet in one name."""
    assert read_back(escaped(text)) == text


@given(TEXTS.filter(bool))
def test_a_name_is_valid_and_internal_only_where_the_text_begins_so(text: str) -> None:
    name = escaped(text)
    if len(name) <= 256:
        check_queue(name)
    assert name.startswith("_") is text.startswith("_")


@given(st.from_regex(r"[A-Za-z0-9_.:-]{1,40}", fullmatch=True).filter(lambda text: not LOOKALIKE.search(text)))
@example("00:fc:ab:0c:de:ff")
@example("sensor_1.kitchen-2:x")
def test_what_can_be_a_name_stays_as_it_is(text: str) -> None:
    assert escaped(text) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Küche", "K:xfc:che"),
        ("Käche", "K:xe4:che"),
        ("Öl", ":xd6:l"),
        ("Living Room", "Living:x20:Room"),
        ("台所", ":x53f0-6240:"),
        ("🌡", ":x1f321:"),
        ("K:xfc:che", "K:x3a:xfc:che"),
        ("&1", ":x26:1"),
    ],
)
def test_names_can_be_read(text: str, name: str) -> None:
    assert escaped(text) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "is empty"), ("_x", "internal"), ("a" * 257, "too long: 257"), (escaped("ü" * 100), "too long: 302")],
)
def test_what_cannot_be_a_queue_is_refused_in_words(name: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        queue_from_data(name, internal=False)
