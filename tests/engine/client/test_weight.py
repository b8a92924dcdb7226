"""A client of a hub elsewhere is light: handler processes and each command of a script are one, on small machines."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["hubqueue.client.remote", "hubqueue.api.client", "hubqueue.work.child"])
def test_a_client_over_tcp_loads_neither_store_nor_command_table(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert module in loaded
    heavy = ("hubqueue.store", "hubqueue.commands", "hubqueue.hub.verbs", "prometheus_client")
    assert [name for name in loaded if name.startswith(heavy)] == []
