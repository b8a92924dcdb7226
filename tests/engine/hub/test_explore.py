"""Finding jobs, and what dead letters died of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hubqueue.client.local import LocalHub
from hubqueue.errors import Invalid
from hubqueue.hub.verbs import change, explore, priorities
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Fail, Reject
from hubqueue.model.state import State
from hubqueue.store import search

from .conftest import Bench

encode = msgspec.msgpack.encode


async def found(
    bench: Bench, queue: str | None = "q", states: tuple[str, ...] = (), **question: Any
) -> list[tuple[str, str]]:
    """(name, state) of every job found, page by page."""
    asked: dict[str, Any] = {"name": None, "text": None, "reason": None, "limit": 3, "after": None, "ascending": True}
    asked |= {"sees": lambda queue: True, **question}
    names = []
    while True:
        page = await bench.hub.run(lambda tx: explore.find(tx, queue, states, **asked))
        names += [(job.name, word) for job, word in page.jobs]
        if page.cursor is None:
            return names
        asked["after"] = page.cursor


async def test_jobs_of_all_queues_come_in_order_of_acceptance(bench: Bench) -> None:
    for queue, name in (("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("b", "5")):
        await bench.add(name, queue=queue)
    assert [name for name, _ in await found(bench, None)] == ["1", "2", "3", "4", "5"]
    assert [name for name, _ in await found(bench, None, ascending=False)] == ["5", "4", "3", "2", "1"]
    assert [name for name, _ in await found(bench, None, sees=lambda queue: queue != "b")] == ["1", "3", "4"]


async def test_more_queues_than_are_merged_are_walked_in_the_same_order(bench: Bench) -> None:
    names = [str(n) for n in range(2 * search.MAX_STREAMS + 7)]
    for n, name in enumerate(names):
        await bench.add(name, queue=f"q{n % (search.MAX_STREAMS + 5)}")
    assert [name for name, _ in await found(bench, None, limit=50)] == names
    assert [name for name, _ in await found(bench, None, limit=50, ascending=False)] == names[::-1]
    assert [name for name, _ in await found(bench, None, ("delayed",))] == []


async def test_states_are_those_of_the_protocol(bench: Bench) -> None:
    await bench.add("plain")
    await bench.add("raised", priority=1)
    await bench.add("later", delay_ms=60_000)
    assert await found(bench, states=("waiting",)) == [("plain", "waiting")]
    assert await found(bench, states=("prioritized", "delayed")) == [("raised", "prioritized"), ("later", "delayed")]
    assert await found(bench, states=("paused",)) == []
    await bench.hub.pause("q")
    assert await found(bench, states=("waiting", "prioritized")) == []
    assert await found(bench, states=("paused",)) == [("plain", "paused"), ("raised", "paused")]
    assert await found(bench, None, ("paused", "delayed")) == [
        ("plain", "paused"),
        ("raised", "paused"),
        ("later", "delayed"),
    ]


async def test_an_unknown_state_is_refused(bench: Bench) -> None:
    with pytest.raises(Invalid, match="Unknown state: lost"):
        await found(bench, states=("lost",))


async def test_text_is_found_in_ids_names_errors_and_data(bench: Bench) -> None:
    await bench.add("Alpha")
    await bench.add("b", custom_id="order-ALPHA-1")
    await bench.add("c", data=encode({"room": "alphabet"}))
    await bench.add("d", data=encode({"pad": "\0" * 300, "room": "alpha"}))  # behind a zero byte too
    await bench.add("e", max_attempts=1)
    await bench.add("f", data=encode({"room": "beta"}))
    leased = {each.job.name: each for each in await bench.take(10)}
    await bench.end(leased["e"], Fail("No alpha here"))
    assert [name for name, _ in await found(bench, text="aLPHa")] == ["Alpha", "b", "c", "d", "e"]
    assert await found(bench, text="gamma") == []


async def test_the_names_of_stored_fields_are_not_found(bench: Bench) -> None:
    await bench.add("e", max_attempts=1)
    (leased,) = await bench.take()
    await bench.end(leased, Fail("broke"))
    assert await found(bench, text="attempts") == []
    assert await found(bench, text="explicit_fail") == []
    assert [name for name, _ in await found(bench, text="broke")] == ["e"]


async def test_odd_letters_and_signs_are_taken_as_they_are(bench: Bench) -> None:
    await bench.add("Grüße %_?")
    await bench.add("x", data=b"\xa1\xff")  # a text that is no UTF-8
    assert [name for name, _ in await found(bench, text="grüße %_")] == ["Grüße %_?"]
    assert await found(bench, text="GRÜSSE") == []


async def test_large_data_is_not_looked_into(bench: Bench) -> None:
    await bench.add("x", data=encode("alpha" + "x" * search.MAX_SEARCHED_BYTES))
    assert await found(bench, text="alpha") == []


async def test_an_id_finds_its_job_if_the_rest_fits(bench: Bench) -> None:
    (id,) = await bench.add("x")
    await bench.add("y", queue="other")
    assert [name for name, _ in await found(bench, None, text=id)] == ["x"]
    assert await found(bench, "other", text=id) == []
    assert await found(bench, "q", ("delayed",), text=id) == []
    assert await found(bench, "q", name="y", text=id) == []


async def test_name_and_reason_are_the_very_words(bench: Bench) -> None:
    await bench.add("mail", "mailer", "mail", max_attempts=1)
    leased = await bench.take(3)
    await bench.end(leased[0], Reject("bad address"))
    await bench.end(leased[1], Fail("rejected"))
    assert await found(bench, name="mail") == [("mail", "failed"), ("mail", "active")]
    assert await found(bench, reason="rejected") == [("mail", "failed")]
    assert await found(bench, reason="max_attempts_exceeded", text="rej") == [("mailer", "failed")]
    assert await found(bench, reason="rejected", states=("waiting",)) == []


TAGGED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("both", ("kitchen", "night")),
    ("one", ("kitchen",)),
    ("other", ("kitchen-sink", "Kitchen", "knight")),
    ("none", ()),
    ("odd", ("", "a,b", "grüße", "kitchen\0night")),
)


async def test_tags_that_no_job_can_carry_are_refused_or_found_nowhere(bench: Bench) -> None:
    await bench.add("a", options=Options(tags=("kitchen",)))
    assert await found(bench, tags=("\ud800",)) == []
    with pytest.raises(Invalid):
        await bench.hub.list_jobs("q", tags=("\ud800",))
    with pytest.raises(Invalid, match="offset"):
        await bench.hub.list_jobs("q", tags=("kitchen",), offset=1)


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (("kitchen",), ["both", "one"]),
        (("kitchen", "night"), ["both"]),
        (("night", "kitchen", "night"), ["both"]),
        (("Kitchen",), ["other"]),
        (("itche",), []),
        (("kitchen", "cellar"), []),
        (("tags",), []),  # as the field is called that holds them
        (("",), ["odd"]),
        (("a,b", "grüße"), ["odd"]),
        (("GRÜSSE",), []),
        (("kitchen\0night",), ["odd"]),
        ((), [name for name, _ in TAGGED]),
    ],
)
async def test_tags_are_the_very_words_and_all_of_them(bench: Bench, tags: tuple[str, ...], names: list[str]) -> None:
    for name, own in TAGGED:
        await bench.add(name, options=Options(tags=own))
    assert [name for name, _ in await found(bench, tags=tags)] == names
    assert await found(bench, tags=tags, states=("delayed",)) == []
    page = await bench.hub.list_jobs("q", (State.WAITING,), tags=tags)
    assert [job.name for job in page.jobs] == names


async def test_tags_go_with_every_other_word(bench: Bench) -> None:
    night = Options(tags=("night",))
    await bench.add("mail", "mailer", max_attempts=1, options=night)
    (id,) = await bench.add("mail", max_attempts=1)
    await bench.add("mail", queue="r", options=night)
    for leased in await bench.take(2):
        await bench.end(leased, Fail("no route"))
    assert await found(bench, tags=["night"], name="mail") == [("mail", "failed")]
    assert await found(bench, tags=["night"], text="ROUTE") == [("mail", "failed"), ("mailer", "failed")]
    assert len(await found(bench, tags=["night"], reason="max_attempts_exceeded")) == 2
    assert len(await found(bench, None, tags=["night"])) == 3
    assert await found(bench, tags=["night"], text=id) == []


async def one_step(bench: Bench, after: int | None = None, **question: Any) -> explore.Found:
    """A question over the whole queue, oldest first, as one step answers it."""
    return await bench.hub.run(lambda tx: explore.find(tx, "q", (), limit=50, after=after, ascending=True, **question))


@pytest.mark.parametrize("question", [{"text": "nothing"}, {"tags": ["nothing"]}, {"tags": ["night", "nothing"]}])
async def test_a_search_without_end_answers_in_steps(bench: Bench, question: dict[str, Any]) -> None:
    await bench.hub.close()
    bench.hub = await LocalHub.open(bench.path, bench.settings)  # its time passes
    for _ in range(12):
        await bench.hub.enqueue("q", [NewJob(name="n", options=Options(tags=("night",))) for _ in range(5000)])
    page = await one_step(bench, **question)
    looked_at, steps = page.looked_at, 1
    while page.cursor is not None:
        page = await one_step(bench, page.cursor, **question)
        assert page.jobs == []
        looked_at, steps = looked_at + page.looked_at, steps + 1
    assert looked_at == 60_000
    assert steps > 1


async def test_a_page_ends_when_its_data_is_large(bench: Bench) -> None:
    for _ in range(4):
        await bench.add("x", data=encode(b"x" * (explore.MAX_FOUND_BYTES // 2)))
    page = await one_step(bench)
    assert len(page.jobs) == 2
    assert page.cursor is not None


async def test_jobs_of_an_obliterated_queue_are_not_found(bench: Bench) -> None:
    await bench.add("gone")
    await bench.hub.obliterate("q")
    await bench.add("here", queue="r")
    assert [name for name, _ in await found(bench, None)] == ["here"]


async def reasons(bench: Bench, queue: str | None = None) -> list[tuple[str, str, str, int]]:
    groups = explore.Reasons(queue, lambda name: name != "hidden")
    while await bench.hub.run(groups.step):
        pass
    assert groups.counted <= groups.total
    return [(each.queue, each.reason, each.pattern, each.count) for each in groups.largest_first()]


async def test_dead_letters_are_grouped_by_queue_reason_and_what_their_errors_share(bench: Bench) -> None:
    for queue in ("q", "r", "hidden"):
        await bench.add("a", "b", "c", queue=queue, max_attempts=1)
        leased = await bench.take(3, queue=queue)
        await bench.end(leased[0], Fail("no route to 10.0.0.1\nat 5"))
        await bench.end(leased[1], Fail("no route to 10.0.0.2"))
        await bench.end(leased[2], Reject("no route to 10.0.0.2"))
    assert sorted(await reasons(bench)) == [
        ("q", "max_attempts_exceeded", "no route to #", 2),
        ("q", "rejected", "no route to #", 1),
        ("r", "max_attempts_exceeded", "no route to #", 2),
        ("r", "rejected", "no route to #", 1),
    ]
    assert await reasons(bench, "r") == [
        ("r", "max_attempts_exceeded", "no route to #", 2),
        ("r", "rejected", "no route to #", 1),
    ]
    assert await reasons(bench, "nobody") == []


async def test_the_newest_of_a_group_is_its_sample(bench: Bench) -> None:
    for n in (1, 2):
        await bench.add("a", max_attempts=1, custom_id=f"mine-{n}")
        (leased,) = await bench.take()
        await bench.end(leased, Fail(f"try {n}"))
    groups = explore.Reasons("q", lambda name: True)
    await bench.hub.run(groups.step)
    (group,) = groups.largest_first()
    assert (group.error, group.sample_id, group.count) == ("try 2", "mine-2", 2)
    assert group.oldest_ms <= group.newest_ms <= bench.hub.now_ms()


async def test_dead_letters_without_an_error_are_a_group(bench: Bench) -> None:
    (id,) = await bench.add("a")
    await bench.hub.run(lambda tx: change.discard(tx, id))
    assert await reasons(bench) == [("q", "discarded", "", 1)]


async def test_priorities_are_counted_whatever_the_state_and_group(bench: Bench) -> None:
    await bench.add("a", "b")
    await bench.add("c", priority=5)
    await bench.add("d", priority=-2)
    await bench.add("e", priority=5, delay_ms=60_000)
    await bench.add("f", priority=7, options=Options(group="g"))
    await bench.add("g", options=Options(group="g"))
    assert await bench.hub.run(lambda tx: priorities.waiting(tx, "q")) == {-2: 1, 0: 3, 5: 1, 7: 1}
    assert await bench.hub.run(lambda tx: priorities.delayed(tx, "q")) == {5: 1}
    assert await bench.hub.run(lambda tx: priorities.waiting(tx, "none")) == {}
