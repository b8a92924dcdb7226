"""Scopes: every command has a row, and a token does what its row says and nothing else."""

from __future__ import annotations

from hubqueue.model.access import Scope
from hubqueue.servers.commands import COMMANDS
from hubqueue.servers.scopes import ROWS


def test_every_command_has_a_row() -> None:
    assert sorted(each.__name__ for each in ROWS) == sorted(each.__name__ for each in COMMANDS)


def test_rows_name_known_scopes_once() -> None:
    for row in ROWS.values():
        assert set(row.needs) <= set(Scope)
        assert len(set(row.needs)) == len(row.needs)
