"""Every field of every dialog, in the real editor and the real runtime of Node-RED 5 and 4.1: both refuse the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest
from playwright.sync_api import Browser, Locator

from support.browser import DESKTOP, GERMAN
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, node, server, tab
from support.ports import free_port
from support.red_editor import Editor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VERSIONS: Final = ["node-red", "node-red-4"]


class Case(NamedTuple):
    """A value that a field refuses, one that it takes, whether it takes `${NAME}`, what has to be chosen to see it."""

    wrong: str
    right: str
    variable: bool = True
    choose: tuple[str, str] | None = None


PORT: Final = "the port of the hub"
ADDRESS: Final = "the address of the hub"  # which forwards to itself here: an error would be told of any other target
WRITTEN: Final[dict[str, dict[str, Case]]] = {
    "server": {
        "host": Case("tcp://127.0.0.1", "127.0.0.1"),
        "port": Case("65536", PORT),
        "connectTimeout": Case("soon", "5s"),
        "shortestWait": Case("10ms", "1s"),
        "longestWait": Case("2h", "1m"),
        "bufferMessages": Case("-3", "500"),
        "bufferMegabytes": Case("1.5", "4"),
    },
    "enqueue": {
        "queue": Case("my mail", "mail"),
        "expression": Case("((", "payload", variable=False, choose=("store", "jsonata")),
        "group": Case("((", "payload.key", variable=False),
        "priority": Case("1.5", "-3"),
        "delay": Case("5 minutes", "0s"),
        "attempts": Case("0", "5"),
        "backoff": Case("1h30m", "1s"),
        "keepTrying": Case("0", "1h"),
        "ttl": Case("x", "1d"),
        "dedup": Case("((", "topic", variable=False),
        "dedupTtl": Case("0s", "1h"),
    },
    "worker": {
        "queue": Case("mail, my web", "mail, web.*"),
        "concurrency": Case("0", "2"),
        "perGroup": Case("-1", "1"),
        "timeout": Case("1h30m", "1m"),
    },
    "result": {
        "result": Case("a[", "payload.x", variable=False),
        "error": Case("a[", "payload.y", variable=False),
        "delay": Case("later", "5s"),
        "progress": Case("half", "50", variable=False, choose=("outcome", "progress")),
    },
    "forward": {
        "to": Case("http://127.0.0.1", ADDRESS),
        "target": Case("there?", "there"),
        "dedup": Case("((", "topic", variable=False),
        "rate": Case("-1", "0.5"),
        "ttl": Case("yesterday", "1h"),
        "queue": Case("my buffer", "buffer"),
        "limit": Case("0", "10"),
    },
    "control": {"queue": Case("a/b", "mail")},
    "events": {
        "queue": Case("a b", "mail*"),
        "threshold": Case("-1", "3", choose=("mode", "events")),
        "interval": Case("30d", "5s", choose=("mode", "stats")),
    },
}
CHOSEN: Final = {
    "enqueue": {"store"},
    "worker": {"settle"},
    "result": {"outcome"},
    "forward": {"store", "whenFull"},
    "control": {"action"},
    "events": {"mode", "kinds"},
}
BOXES: Final = {"keep", "noteParent", "dedupExtend", "dedupReplace", "removeOnComplete", "paused", "confirm"}
ANYTHING: Final = {"name", "server", "tls", "clientName", "onChange"} | BOXES
TYPES_OF_FIELDS: Final[dict[str, Any]] = {
    "enqueue": {"groupType": "jsonata", "group": "", "dedupType": "jsonata", "dedup": ""},
    "result": {"resultType": "msg", "errorType": "msg", "delayType": "str", "progressType": "num", "progress": "1"},
    "forward": {"dedupType": "jsonata", "dedup": ""},
}


def variable(type: str, field: str) -> str:
    return f"HQ_{type}_{field}".upper()


def right_of(case: Case, port: int) -> str:
    return {PORT: str(port), ADDRESS: f"tcp://127.0.0.1:{port}"}.get(case.right, case.right)


@pytest.fixture(scope="module")
def the_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), "--tcp-port", str(free_port())) as process:
        yield process


@pytest.fixture(scope="module", params=VERSIONS)
def equipped(
    request: pytest.FixtureRequest, the_hub: HubProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeRed]:
    """A Node-RED whose environment has the right value of every field."""
    environ = {
        variable(type, field): right_of(case, the_hub.port)
        for type, fields in WRITTEN.items()
        for field, case in fields.items()
    }
    with NodeRed(tmp_path_factory.mktemp(request.param), environ=environ, package=request.param) as red:
        yield red


def one_of_each(port: int) -> list[Node]:
    right: dict[str, Any] = {
        "worker": {"queue": "mail", "queueType": "str"},
        "forward": {"to": f"tcp://127.0.0.1:{port}"},
        "result": {"outcome": "message", "result": "payload", "error": "payload", "delay": ""},
    }
    nodes = [
        node(type, f"hubqueue-{type}", server="hub", **{**right.get(type, {}), **TYPES_OF_FIELDS.get(type, {})})
        for type in WRITTEN
        if type != "server"
    ]
    return [tab(), server(port, name=""), *nodes]


def check_that_every_field_has_a_case(editor: Editor) -> None:
    for type, cases in WRITTEN.items():
        fields: list[str] = editor.page.evaluate(
            "type => Object.keys(RED.nodes.getType('hubqueue-' + type).defaults)", type
        )
        known = cases.keys() | CHOSEN.get(type, set()) | ANYTHING
        assert {field for field in fields if not field.endswith("Type")} - known == set(), type
        assert cases.keys() | CHOSEN.get(type, set()) <= set(fields)


def test_a_wrong_value_is_red_a_right_one_is_not_and_a_variable_survives(
    the_hub: HubProcess, equipped: NodeRed, browser: Browser
) -> None:
    equipped.deploy(one_of_each(the_hub.port))
    editor = Editor(browser, equipped, DESKTOP)
    check_that_every_field_has_a_case(editor)
    check_names(editor, german=False)
    for type, cases in WRITTEN.items():
        prefix = "node-config-input" if type == "server" else "node-input"
        tray = editor.open_config("hubqueue-server", "hub") if type == "server" else editor.open(type)
        editor.show_more()
        check_labels(tray)
        for field, case in cases.items():
            wrong, _, takes_variable, choose = case
            if choose is not None:
                tray.locator(f"#node-input-{choose[0]}").select_option(choose[1])
            right = right_of(case, the_hub.port)
            written = f"${{{variable(type, field)}}}" if takes_variable else right
            verdicts = [type_in(tray, prefix, field, value) for value in (right, wrong, written)]
            assert verdicts == [True, False, True], f"{type}.{field}"
        if type == "server":
            check_that_both_waits_are_judged_together(tray)
            tray.locator("#hubqueue-test").click()
            editor.page.wait_for_function("/Hub |:/.test($('#hubqueue-test-answer').text())")
            assert the_hub.hub_id in tray.locator("#hubqueue-test-answer").inner_text()
            editor.page.locator("#node-config-dialog-ok").click()
        else:
            editor.page.locator("#node-dialog-ok").click()
        editor.page.wait_for_function("document.querySelectorAll('.red-ui-tray').length === 0")
        id = "hub" if type == "server" else type
        kept: dict[str, str] = editor.page.evaluate("id => RED.nodes.node(id)", id)
        for field, case in cases.items():
            if case.variable:
                assert kept[field] == f"${{{variable(type, field)}}}"
        assert editor.page.evaluate("id => RED.nodes.node(id).valid", id) is True, type
    mark = len(equipped.log())
    editor.deploy()
    equipped.wait_for(lambda: "connected host" in equipped.log()[mark:])
    assert "[error]" not in equipped.log()[mark:]
    assert editor.errors == []
    editor.close()


def check_that_both_waits_are_judged_together(tray: Locator) -> None:
    longest = tray.locator("#node-config-input-longestWait")
    before = {
        field: tray.locator(f"#node-config-input-{field}").input_value() for field in ("longestWait", "shortestWait")
    }
    assert type_in(tray, "node-config-input", "longestWait", "10s")
    assert type_in(tray, "node-config-input", "shortestWait", "11s")
    assert "input-error" in (longest.get_attribute("class") or "")
    assert type_in(tray, "node-config-input", "shortestWait", "9s")
    assert "input-error" not in (longest.get_attribute("class") or "")
    for field, value in before.items():
        assert type_in(tray, "node-config-input", field, value)


def type_in(tray: Locator, prefix: str, field: str, value: str) -> bool:
    """Write it into the field as a person does; whether the field takes it."""
    input = tray.locator(f"#{prefix}-{field}")
    typed = tray.locator(f"#{prefix}-{field} + .red-ui-typedInput-container .red-ui-typedInput-input")
    box = typed if typed.count() else input
    box.fill(value)
    box.press("End")  # a key: the editor looks at the value when one is let go
    return "input-error" not in (input.get_attribute("class") or "")


ODD: Final = (
    *("", " ", "x", "0", "-1", "1.5", "1e3", "007", "NaN", "Infinity", "0x10", "9" * 30, "1h30m", "5 minutes", "5 m"),
    *("30d", "366d", "1d", "s", "${", "a b", "a,b", "*", "über", "a[", "((", "\u0661", "null", "tls://h:1/", "h:99999"),
)


def test_the_runtime_refuses_what_the_editor_refuses_with_the_same_words(
    the_hub: HubProcess, equipped: NodeRed, browser: Browser
) -> None:
    plain = {each["id"]: each for each in one_of_each(the_hub.port)}
    nodes = [tab(), server(free_port())]  # no hub: one would have more to say of what is right here
    judged: list[tuple[str, str, dict[str, str]]] = []  # the node that the runtime speaks of, its like, its fields
    for type, cases in WRITTEN.items():
        for field in [*cases, *CHOSEN.get(type, ())]:
            choose = cases[field].choose if field in cases else None
            for at, value in enumerate(ODD):
                id = f"{type}-{field}-{at}"
                fields = {**({choose[0]: choose[1]} if choose else {}), field: value}
                if type == "server":
                    nodes.append({**server(the_hub.port), "id": f"of-{id}", **fields})
                    nodes.append(node(id, "hubqueue-control", server=f"of-{id}"))
                else:
                    nodes.append({**plain[type], "id": id, **fields})
                judged.append((id, "hub" if type == "server" else type, fields))
    mark = len(equipped.log())
    equipped.deploy(nodes)
    refused = dict(re.findall(r"\[error\] \[hubqueue-\w+:([\w-]+)\] (.*)", equipped.log()[mark:]))
    equipped.deploy(one_of_each(the_hub.port))
    editor = Editor(browser, equipped, DESKTOP)
    reasons: list[list[str]] = editor.page.evaluate(
        """judged => judged.map(([, like, fields]) => {
             const node = { ...RED.nodes.node(like), ...fields };
             RED.editor.validateNode(node);
             return node.validationErrors || [];
           })""",
        judged,
    )
    both = 0
    for (id, _, fields), said in zip(judged, reasons, strict=True):
        assert bool(said) == (id in refused), f"{id} {fields}: editor {said}, runtime {refused.get(id)}"
        if said and "cannot be read" not in said[0]:
            assert said[0] in refused[id]
            both += 1
    assert both > 200
    editor.close()


def test_an_unset_variable_is_named_and_every_message_fails(the_hub: HubProcess, equipped: NodeRed) -> None:
    mark = len(equipped.log())
    catch = node("catch", "catch", "told", scope=None, uncaught=False)
    told = node("told", "function", func="global.get('seen')([msg.error.source.id, msg.error.message]);", outputs=0)
    inject = node("in", "inject", "put", "ask", props=[{"p": "payload"}], payload="1", payloadType="num")
    equipped.deploy(
        [
            tab(),
            server(the_hub.port),
            {**server(the_hub.port), "id": "odd", "port": "${HQ_UNSET}"},
            node("put", "hubqueue-enqueue", server="hub", queue="mail", queueType="str", attempts="${HQ_UNSET}"),
            node("ask", "hubqueue-control", server="odd"),
            catch,
            told,
            inject,
        ]
    )
    assert "Attempts: the environment variable HQ_UNSET is not set" in equipped.log()[mark:]
    equipped.inject("in")
    assert sorted(equipped.wait_seen(2)) == [
        ["ask", "HubqueueError: its hub cannot be used: Port: the environment variable HQ_UNSET is not set"],
        ["put", "HubqueueError: Attempts: the environment variable HQ_UNSET is not set"],
    ]
    equipped.seen_file.unlink()


BROKEN: Final = """
tray => [...tray.querySelectorAll('.hubqueue-row > label')]
  .filter(label => label.offsetParent !== null)
  .filter(label => label.getClientRects()[0].height > 30 || label.scrollWidth > label.clientWidth
    || [...label.parentElement.children].some(each => each.offsetParent !== null
      && each.getBoundingClientRect().top > label.getBoundingClientRect().bottom))
  .map(label => label.textContent)
"""


UNNAMED: Final = """
tray => [...tray.querySelectorAll('.form-row :is(input, select, textarea, button)')]
  .filter(field => field.offsetParent !== null && field.type !== 'hidden')
  .filter(field => {
    const labels = (field.getAttribute('aria-labelledby') || '').split(' ').filter(Boolean);
    const named = labels.length && labels.every(id => (document.getElementById(id) || {}).textContent);
    const label = field.id && document.querySelector(`label[for="${CSS.escape(field.id)}"]`);
    const text = (label && label.textContent.trim()) || field.getAttribute('aria-label') || field.title
      || (field.tagName === 'BUTTON' && field.textContent.trim());
    return !named && !text;
  })
  .map(field => field.outerHTML.slice(0, 160))
"""


def check_labels(tray: Locator) -> None:
    """Every label stands beside its field, every field has a name for those who do not see it, all is translated."""
    assert tray.evaluate(BROKEN) == []
    assert tray.evaluate(UNNAMED) == []
    for typed in tray.locator(".red-ui-typedInput-input:visible").all():
        assert tray.locator(f"#{typed.get_attribute('aria-labelledby')}").inner_text().strip()
    assert "hubqueue." not in tray.inner_text()


def check_names(editor: Editor, *, german: bool) -> None:
    """Of the nodes in the palette, and of their outputs."""
    names: list[str] = editor.page.evaluate(
        "types => types.map(type => RED.nodes.getType('hubqueue-' + type))"
        ".flatMap(of => [of.paletteLabel, of.outputLabels]).flat()",
        [type for type in WRITTEN if type != "server"],
    )
    words = {"einreihen", "abschließen", "weiterleiten", "steuern", "Ereignisse", "gespeichert", "Auftrag", "Antwort"}
    assert words <= set(names) if german else not words & set(names)
    assert not any("hubqueue" in name for name in names)


def test_the_dialogs_are_good_in_german_too(the_hub: HubProcess, equipped: NodeRed, browser: Browser) -> None:
    equipped.deploy(one_of_each(the_hub.port))
    editor = Editor(browser, equipped, GERMAN)
    check_names(editor, german=True)
    for type in WRITTEN:
        tray = editor.open_config("hubqueue-server", "hub") if type == "server" else editor.open(type)
        editor.show_more()
        check_labels(tray)
        editor.cancel()
    editor.close()
