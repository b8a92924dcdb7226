"""The OpenAPI document and the door say the same: schemathesis asks a real hub for everything the document allows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.hub_process import HubProcess, clean_environment

TOKEN = "hq_schemathesis_asks_with_this_token"
HOOKS = Path(__file__).parents[4] / "support" / "schemathesis_hooks.py"
EXAMPLES = 3
SETTINGS = """
[checks.positive_data_acceptance]
# 422: cron patterns, time zones, URLs and ids of relatives are beyond what a schema says
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "5xx"]
"""


@pytest.mark.slow
def test_every_answer_is_as_the_document_says(tmp_path: Path) -> None:
    (tmp_path / "hubqueue.yaml").write_text(
        f"data_path: hub.db\ntcp: {{port: 0, tokens: [{TOKEN}]}}\nhttp: {{port: 0}}\n", encoding="utf-8"
    )
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    with HubProcess(tmp_path, config=tmp_path / "hubqueue.yaml") as hub:
        ran = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")),
                *("--config-file", str(settings), "run"),
                f"http://127.0.0.1:{hub.http_port}/api/v1/openapi.json",
                *("-H", f"Authorization: Bearer {TOKEN}"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)),
                *("--checks", "all", "--continue-on-failure", "--workers", "2", "--no-color"),
            ],
            cwd=tmp_path,
            env=clean_environment({"SCHEMATHESIS_HOOKS": str(HOOKS)}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2000:]
        tested = re.search(r"Tested: (\d+)", ran.stdout)
        assert tested is not None
        assert int(tested[1]) > 70
        assert "a defect" not in hub.log()
