"""Handlers that hear channels, end to end with the real process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from hubqueue.errors import Invalid
from hubqueue.model import payload
from hubqueue.work.listener import channel
from support.handlers import Stand, stand
from support.waiting import until

ECHO = """
    @channel("doors")
    async def door(message):
        say(f"{message.channel}-{message.data}-{message.at.year > 2000}")
"""


async def publish(it: Stand, name: str, data: Any) -> None:
    await it.hub.publish(name, payload.encode(data))


async def listening(it: Stand, name: str, count: int = 1) -> None:
    await until(lambda: len(it.hub.channels._listeners.get(name, ())) == count)


async def test_a_function_hears_its_channel_and_no_other(tmp_path: Path) -> None:
    async with stand(tmp_path) as it:
        it.write(ECHO)
        await listening(it, "doors")
        await publish(it, "windows", 1)
        await publish(it, "doors", 2)
        await it.raised("doors-2-True")
        assert not (tmp_path / "flags" / "windows-1-True").exists()


async def test_a_plain_function_hears_all_channels_in_order(tmp_path: Path) -> None:
    every = """
        heard = []

        @channel("*")
        def everything(message):
            heard.append(message.data)
            if message.data == "end":
                say("-".join(map(str, heard)))
    """
    async with stand(tmp_path) as it:
        it.write(every)
        await listening(it, "*")
        for data in (1, 2, 3, "end"):
            await publish(it, f"channel{data}", data)
        await it.raised("1-2-3-end")


async def test_what_a_function_raises_is_logged_and_the_next_message_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = """
        @channel("doors")
        async def door(message):
            if message.data == 1: raise ValueError("no such door")
            if message.data == 2: raise SystemExit(3)
            say("went on")

        @channel("doors")
        def plain(message):
            if message.data == 2: raise SystemExit(3)
            if message.data == 3: say("plain, too")
    """
    with caplog.at_level(logging.INFO):
        async with stand(tmp_path) as it:
            it.write(failing)
            await listening(it, "doors", 2)
            pid = it.pid
            for data in (1, 2, 3):
                await publish(it, "doors", data)
            await it.raised("went on")
            await it.raised("plain, too")
            assert it.pid == pid
            await until(lambda: "no such door" in caplog.text)


async def test_functions_and_tasks_live_in_one_process_and_talk(tmp_path: Path) -> None:
    both = """
        @channel("doors")
        async def door(message):
            say(message.data)

        @task("ring")
        async def ring(job):
            await job.publish("doors", "rung")
    """
    async with stand(tmp_path, both) as it:
        await listening(it, "doors")
        await it.result(await it.push("ring"))
        await it.raised("rung")


async def test_a_change_of_the_file_is_picked_up(tmp_path: Path) -> None:
    async with stand(tmp_path) as it:
        it.write(ECHO)
        await listening(it, "doors")
        it.write(ECHO.replace('"doors"', '"gates"'))
        await listening(it, "gates")
        await listening(it, "doors", 0)
        await publish(it, "gates", 1)
        await it.raised("gates-1-True")
        assert [each.channel for each in it.parent.status.channels] == ["gates"]


async def test_a_change_that_breaks_the_file_of_a_listener_is_refused(tmp_path: Path) -> None:
    async with stand(tmp_path) as it:
        it.write(ECHO)
        await listening(it, "doors")
        pid = it.pid
        it.write("def broken(:")
        await until(lambda: bool(it.parent.status.problems))
        await publish(it, "doors", 1)
        await it.raised("doors-1-True")
        assert it.pid == pid


@pytest.mark.parametrize("name", ["", "no spaces", "x" * 257])
def test_impossible_channels_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        channel(name)


def test_a_class_or_a_generator_hears_nothing() -> None:
    with pytest.raises(Invalid, match="must decorate a function"):
        channel("doors")(int)

    def generator(message: object) -> Any:
        yield message

    with pytest.raises(Invalid, match="is a generator"):
        channel("doors")(generator)
