"""Who this hub is: hub_id, public job ids and lease tokens.

A public id is `<hub_id>-<seq>`, so generated ids need no index and never collide between hubs. After a file
was copied to another machine it gets a new hub_id; jobs from before keep the id they were announced with.
A token is `<lease_no>.<keyed hash of seq and lease_no>`: unguessable, and nothing has to be stored for it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import sqlite3
from pathlib import Path
from typing import Final

from hubqueue.store.disk import Disk
from hubqueue.system import System

log = logging.getLogger(__name__)

HUB_ID_BYTES: Final = 6
MAC_BYTES: Final = 12
MACHINE_ID: Final = Path("/etc/machine-id")

READ: Final = "SELECT key, value FROM meta WHERE key IN ('secret', 'machine') OR key LIKE 'hub_id:%'"
WRITE: Final = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"


class Identity:
    """Public ids and tokens of one hub. prefix: of the ids that are given out now, with the seq behind it."""

    __slots__ = ("_ages", "_secret", "_since", "hub_id", "prefix")

    def __init__(self, ages: list[tuple[int, str]], secret: bytes) -> None:
        """ages: (first seq, hub_id), oldest first."""
        self._ages = ages
        self._secret = secret
        self._since, self.hub_id = ages[-1]
        self.prefix = self.hub_id + "-"

    def public_id(self, seq: int) -> str:
        if seq >= self._since:
            return self.prefix + str(seq)
        return f"{self.hub_id_of(seq)}-{seq}"

    def hub_id_of(self, seq: int) -> str:
        """The hub_id a job was accepted under."""
        return next((hub_id for since, hub_id in reversed(self._ages) if seq >= since), self._ages[0][1])

    def seq_of(self, id: str) -> int | None:
        """The seq of a public id of this hub; None for any other text."""
        hub_id, dash, digits = id.rpartition("-")
        if not dash or not digits.isascii() or not digits.isdigit() or len(digits) > 16 or digits[0] == "0":
            return None
        seq = int(digits)
        return seq if hub_id == (self.hub_id if seq >= self._since else self.hub_id_of(seq)) else None

    def token(self, seq: int, lease_no: int) -> str:
        return f"{lease_no}.{self._mac(seq, lease_no)}"

    def lease_no_of(self, token: str, seq: int) -> int | None:
        """The lease number a token stands for; None if it is not one of ours for this job."""
        digits, dot, mac = token.partition(".")
        if not dot or not token.isascii() or not digits.isdigit() or len(digits) > 16:
            return None
        lease_no = int(digits)
        return lease_no if hmac.compare_digest(mac, self._mac(seq, lease_no)) else None

    def number_in(self, token: str) -> int:
        """The lease number in a token that is known to be good."""
        return int(token.partition(".")[0])

    def _mac(self, seq: int, lease_no: int) -> str:
        text = b"%d.%d" % (seq, lease_no)
        return hashlib.blake2s(text, key=self._secret, digest_size=MAC_BYTES).hexdigest()


def load(db: sqlite3.Connection, first_seq: int, system: System, disk: Disk, *, adopt: bool) -> Identity:
    """The identity in the file, made at first open and after a move to another machine.

    adopt: keep the hub_id on this machine (the disk was moved on purpose, the other copy is gone).
    Call inside an open transaction.
    """
    rows: dict[str, object] = dict(db.execute(READ).fetchall())
    machine = _machine(disk)
    ages = sorted((int(key.partition(":")[2]), str(value)) for key, value in rows.items() if key.startswith("hub_id:"))
    secret = rows.get("secret")
    if not isinstance(secret, bytes):
        secret = system.token_bytes(32)
        db.execute(WRITE, ("secret", secret))
    stored = rows.get("machine")
    moved = bool(ages) and stored is not None and machine is not None and stored != machine
    if adopt and not moved and len(ages) > 1:  # it has run here under a new id already: take the old one again
        ages.append((first_seq, ages[-2][1]))
        db.execute(WRITE, (f"hub_id:{first_seq}", ages[-1][1]))
    if not ages or (moved and not adopt):
        hub_id = system.token_hex(HUB_ID_BYTES)
        if moved:
            log.warning(
                "This job file came from another machine: the hub has a new id. If the other copy is gone for good, "
                "'hubqueue adopt' keeps the old one. old=%s new=%s",
                ages[-1][1],
                hub_id,
            )
        ages.append((first_seq, hub_id))
        db.execute(WRITE, (f"hub_id:{first_seq}", hub_id))
    if machine is not None and stored != machine:
        db.execute(WRITE, ("machine", machine))
    return Identity(ages, secret)


def _machine(disk: Disk) -> str | None:
    """A hash of this machine's id; None where there is none (many containers)."""
    try:
        text = disk.read_text(MACHINE_ID).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return hashlib.blake2b(text.encode(), key=b"hubqueue", digest_size=16).hexdigest() if text else None
