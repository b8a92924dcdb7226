"""docs/http.md says what the table of routes says, and its examples run."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from hubqueue import errors
from hubqueue.servers.http.rest.openapi import document, scopes_of
from hubqueue.servers.http.rest.route import PREFIX, Route
from hubqueue.servers.http.rest.routes import ROUTES
from support.hub_process import HubProcess
from support.openapi import wrong
from support.rest import Rest, client_of

DOC = (Path(__file__).parents[5] / "docs" / "http.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### ([A-Z]+ /.+?)\n(.*?)(?=^##|\Z)", DOC, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
OF_EXAMPLE = {
    example: route for route in ROUTES for example in BLOCK.findall(SECTIONS.get(f"{route.method} {route.path}", ""))
}
SCHEMAS = json.loads(document("1"))
TOKEN = "hq_examples_run_with_this_token"
CURL = 'set -euo pipefail\ncurl() { command curl -sS --fail-with-body -H "Authorization: Bearer $HQ_TOKEN" "$@"; }\n'


def title(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_route_has_a_section_and_every_section_a_route() -> None:
    assert list(SECTIONS) == [title(route) for route in ROUTES]


@pytest.mark.parametrize("route", ROUTES, ids=title)
def test_a_section_says_what_the_route_does(route: Route) -> None:
    text = SECTIONS[title(route)]
    status = 204 if route.reply is None else route.status
    answers = ", ".join(str(each) for each in (status, *route.also))
    assert f"Scope: {' or '.join(scopes_of(route)) or 'any'}. Answer: {answers}." in text
    assert text.strip().startswith(route.summary)
    assert len(BLOCK.findall(text)) == 1


def test_every_documented_code_exists() -> None:
    (table,) = re.findall(r"^\| status \| `code` \|\n(.*?)\n\n", DOC, re.MULTILINE | re.DOTALL)
    codes = {error.code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "code")}
    assert set(re.findall(r"`(\w+)`", table)) - {"method_not_allowed"} <= codes


@pytest.mark.slow
async def test_every_example_runs_and_is_answered_as_described(tmp_path: Path) -> None:
    with HubProcess(tmp_path, "--tcp-port", "0", "--http-port", "0", "--auth-tokens", TOKEN) as hub:
        async with client_of(hub.http_port, TOKEN) as rest:
            for example in BLOCK.findall(DOC):
                variables = await prepare(rest)
                code, output = await run(example, {"HUB": rest.url, "HQ_TOKEN": TOKEN, **variables})
                assert code == 0, f"{example}\n{output}"
                route = OF_EXAMPLE.get(example)
                if route is not None:
                    assert undescribed(route, output) == [], f"{example}\n{output}"
        assert "a defect" not in hub.log()


def undescribed(route: Route, output: str) -> list[str]:
    """What an example has answered that the OpenAPI document does not say of its route."""
    if route.reply is None:
        return [output] if output else []
    return wrong(SCHEMAS, route.method, route.path, json.loads(output))


async def prepare(rest: Rest) -> dict[str, str]:
    """The things that the examples speak of."""
    await rest.ask("DELETE", "/queues/mail?confirm=mail")
    await rest.post("/queues/mail/jobs", {"name": "send", "id": "dead-1"})
    (token,) = (await rest.post("/queues/mail/lease"))["tokens"]
    await rest.post("/jobs/dead-1/fail", {"token": token, "error": "no such address", "unrecoverable": True})
    await rest.post("/queues/mail/jobs", {"name": "send", "id": "held"})
    (held,) = (await rest.post("/queues/mail/lease"))["tokens"]
    await rest.post("/queues/mail/jobs", {"name": "send", "id": "letter-1"})
    await rest.post("/queues/mail/jobs", {"name": "send", "id": "late-1", "delay": 3_600_000})
    schedule = {"queue": "reports", "jobName": "daily", "repeatEvery": 3_600_000}
    assert (await rest.ask("PUT", "/schedules/daily", schedule)).status == 200
    forwarder = {"queue": "readings", "to": "tcp://127.0.0.1:1", "token": "t"}
    assert (await rest.ask("PUT", "/forwarders/central", forwarder)).status == 204
    webhook = await rest.post("/webhooks", {"url": "https://hooks.example.com/", "events": ["job.failed"]})
    return {"ID": "held", "TOKEN": held, "WEBHOOK": webhook["webhookId"]}


async def run(script: str, variables: dict[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        CURL + script,
        env={"PATH": os.environ["PATH"], **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


def test_examples_name_the_port_that_is_the_default() -> None:
    assert f":6790{PREFIX}" in DOC
