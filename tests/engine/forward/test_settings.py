"""ForwardSettings: bounds, and every setting and reason is documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.errors import Invalid
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.status import ForwardStatus
from hubqueue.forward.verdict import OF_CODE, Reason

DOCS = (Path(__file__).parents[3] / "docs" / "forwarding.md").read_text()

WRONG: list[dict[str, Any]] = [
    {"concurrency": 0},
    {"concurrency": 65},
    {"batch": 0},
    {"batch": 1001},
    {"batch": 10, "probe_batch": 11},
    {"rate_per_s": 0.0},
    {"rate_per_s": float("nan")},
    {"lease_ms": 999},
    {"poll_ms": 60_001},
    {"backoff_s": 0.0},
    {"backoff_s": 10.0, "backoff_cap_s": 5.0},
    {"unknown_cap": 0},
    {"stop_grace_s": -1.0},
    {"connect_timeout_s": 0.0},
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_setting_out_of_bounds_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        ForwardSettings(**wrong)
    assert list(wrong)[-1] in str(refusal.value)


@pytest.mark.parametrize("setting", [field.name for field in msgspec.structs.fields(ForwardSettings)])
def test_every_setting_is_documented(setting: str) -> None:
    assert f"| `{setting}` |" in DOCS


@pytest.mark.parametrize("word", [*OF_CODE, *(reason.value for reason in Reason)])
def test_every_code_and_reason_is_documented(word: str) -> None:
    assert f"`{word}`" in DOCS


@pytest.mark.parametrize("field", ["waiting", "delayed", "oldest_ms", "in_flight", "forwarded", "rejected", "released"])
def test_the_numbers_of_the_status_are_documented(field: str) -> None:
    assert field in ForwardStatus.__struct_fields__
    assert f"`{field}`" in DOCS
