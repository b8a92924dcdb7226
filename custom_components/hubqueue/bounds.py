"""What the hub would refuse of a job is refused while it is away, too: later nobody is there to be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .errors import HubError

# How long texts may be, and what the fields of actions call them.
LENGTHS: Final = {
    "name": ("name", 256),
    "customId": ("job_id", 1024),
    "uniqueKey": ("unique_key or supersede", 1024),
    "groupId": ("group", 256),
}


def check_job(job: Mapping[str, Any]) -> None:
    """A job as PUSHB takes it. Errors: HubError."""
    for field, (called, most) in LENGTHS.items():
        text = job.get(field, "x")
        if not 1 <= len(text) <= most:
            raise HubError("invalid", f"{called} has {len(text)} characters; it may have 1 to {most}")
        if any("\ud800" <= char <= "\udfff" for char in text) or (field == "groupId" and "\0" in text):
            raise HubError("invalid", f"{called} has characters that are no text")
    if "groupId" in job and job.get("priority", 0) < 0:
        raise HubError("invalid", "a job of a group has no priority below 0")
