"""Flows: jobs that wait for others, trees that come in whole, and failures that climb."""

from __future__ import annotations

import msgspec
import pytest

from hubqueue.errors import HubqueueError, Invalid, NotFound, PayloadTooLarge, WrongState
from hubqueue.hub.verbs import flow, flowedits, rows
from hubqueue.hub.verbs.enqueue import enqueue_flow
from hubqueue.model.flow import FlowJob, check_flow
from hubqueue.model.job import Job, NewJob, OnFailure, Options
from hubqueue.model.limits import MAX_RELATIVES
from hubqueue.model.outcome import Complete, Fail
from hubqueue.model.state import State
from hubqueue.store.tx import Tx

from .conftest import Bench


async def push_flow(bench: Bench, *nodes: FlowJob) -> list[Job]:
    checked = check_flow(nodes)
    assert len(checked) == len(nodes)
    return await bench.hub.run(lambda tx: enqueue_flow(tx, nodes))


def node(
    id: str,
    *children: str,
    parent: str | None = None,
    after: tuple[str, ...] = (),
    policy: OnFailure | None = None,
    queue: str = "q",
    max_attempts: int = 1,
    **options: object,
) -> FlowJob:
    """A job of a flow: its children, its parent, and what else it waits for."""
    more = Options(
        depends_on=(*children, *after), children_ids=children, parent_id=parent, on_failure=policy, **options
    )  # type: ignore[arg-type]
    return FlowJob(id, queue, NewJob(name=id, custom_id=id, options=more, max_attempts=max_attempts))


async def finish(bench: Bench, *names: str, result: bytes | None = None) -> None:
    """Lease and complete jobs, which must be exactly those that may run."""
    leased = await bench.take(100)
    assert sorted(each.job.name for each in leased) == sorted(names)
    for each in leased:
        await bench.end(each, Complete(result))


async def state(bench: Bench, id: str) -> State:
    return (await bench.get(id)).state


async def test_a_job_waits_until_all_it_depends_on_have_completed(bench: Bench) -> None:
    a, b = await bench.add("a", "b")
    (c,) = await bench.add("c", options=Options(depends_on=(a, b)))
    assert await state(bench, c) is State.WAITING_CHILDREN
    first, second = await bench.take(5)
    await bench.end(first, Complete())
    assert await bench.take() == []
    await bench.end(second, Complete())
    assert await bench.take_names() == ["c"]


async def test_dependencies_may_have_completed_already(bench: Bench) -> None:
    (a,) = await bench.add("a")
    await finish(bench, "a")
    (c,) = await bench.add("c", options=Options(depends_on=(a, a)))
    assert await state(bench, c) is State.WAITING


async def test_an_unknown_dependency_refuses_the_whole_batch(bench: Bench) -> None:
    (a,) = await bench.add("a")
    jobs = [NewJob(name="b"), NewJob(name="c", options=Options(depends_on=(a, "nowhere")))]
    with pytest.raises(NotFound, match="Dependency job not found: nowhere"):
        await bench.hub.enqueue("q", jobs)
    assert (await bench.hub.counts("q")).waiting == 1
    await bench.check_counters()


async def test_jobs_of_one_batch_may_wait_for_each_other_in_any_order(bench: Bench) -> None:
    jobs = [
        NewJob(name="last", custom_id="last", options=Options(depends_on=("mid",))),
        NewJob(name="mid", custom_id="mid", options=Options(depends_on=("first",))),
        NewJob(name="first", custom_id="first"),
    ]
    await bench.hub.enqueue("q", jobs)
    for name in ("first", "mid", "last"):
        await finish(bench, name)


async def test_a_circle_in_a_batch_is_refused(bench: Bench) -> None:
    jobs = [
        NewJob(name="a", custom_id="a", options=Options(depends_on=("b",))),
        NewJob(name="b", custom_id="b", options=Options(depends_on=("a",))),
    ]
    with pytest.raises(Invalid, match="cycle"):
        await bench.hub.enqueue("q", jobs)
    with pytest.raises(NotFound):
        await bench.add("x", custom_id="x", options=Options(depends_on=("x",)))
    assert (await bench.hub.counts("q")).waiting_children == 0


async def test_a_delayed_job_keeps_its_delay_while_it_waits(bench: Bench) -> None:
    (a,) = await bench.add("a")
    (b,) = await bench.add("b", delay_ms=60_000, options=Options(depends_on=(a,)))
    await finish(bench, "a")
    assert await state(bench, b) is State.DELAYED


async def test_p9_a_flow_comes_in_whole_across_queues_and_the_parent_reads_its_children(bench: Bench) -> None:
    made = await push_flow(
        bench,
        node("root", "left", "right", queue="roots"),
        node("left", parent="root", queue="a"),
        node("right", parent="root", queue="b", remove_on_complete=True),
    )
    assert [job.id for job in made] == ["root", "left", "right"]
    assert (await bench.hub.counts("roots")).waiting_children == 1
    for queue, result in (("a", b"\x01"), ("b", b"\x02")):
        (leased,) = await bench.take(queue=queue)
        await bench.end(leased, Complete(result))
    (root,) = await bench.take(queue="roots")
    values = await bench.hub.run(lambda tx: flowedits.children_values(tx, "root"))
    assert values == {"a:left": b"\x01", "b:right": b"\x02"}
    assert root.job.options.children_ids == ("left", "right")
    assert await bench.hub.run(lambda tx: flowedits.children_values(tx, "nowhere")) == {}


async def test_a_waiting_flow_survives_a_restart(bench: Bench) -> None:
    await push_flow(bench, node("root", "leaf"), node("leaf", parent="root"))
    await bench.reopen()
    await finish(bench, "leaf")
    await bench.reopen()
    await finish(bench, "root")


async def test_a_flow_a_hundred_levels_deep_runs_from_the_leaf_to_the_root(bench: Bench) -> None:
    depth = 100
    nodes = [
        node(f"n{n}", *([f"n{n + 1}"] if n + 1 < depth else []), parent=f"n{n - 1}" if n else None)
        for n in range(depth)
    ]
    await push_flow(bench, *nodes)
    for n in reversed(range(depth)):
        await finish(bench, f"n{n}")


async def test_a_flow_a_thousand_children_wide_lets_the_parent_go_at_the_last(bench: Bench) -> None:
    ids = [f"c{n}" for n in range(1000)]
    await push_flow(bench, node("root", *ids), *[node(id, parent="root") for id in ids])
    leased = await bench.take(1000)
    assert len(leased) == 1000
    from hubqueue.hub.verbs.settle import complete

    done = [(each.job.id, each.token, b"\x01", None) for each in leased]
    await bench.hub.run(lambda tx: complete(tx, done[:-1]))
    assert await bench.take() == []
    await bench.hub.run(lambda tx: complete(tx, done[-1:]))
    assert await bench.take_names() == ["root"]
    assert len(await bench.hub.run(lambda tx: flowedits.children_values(tx, "root"))) == 1000


async def test_without_a_policy_a_failed_child_holds_its_parent_until_it_is_retried(bench: Bench) -> None:
    await push_flow(bench, node("root", "leaf"), node("leaf", parent="root"))
    await bench.end((await bench.take())[0], Fail("x"))
    assert await state(bench, "root") is State.WAITING_CHILDREN
    await bench.hub.retry("leaf")
    await finish(bench, "leaf")
    await finish(bench, "root")


async def test_a_failure_climbs_as_far_as_each_job_asks_for_it(bench: Bench) -> None:
    await push_flow(
        bench,
        node("top", "root"),
        node("root", "mid", parent="top"),
        node("mid", "leaf", parent="root", policy=OnFailure.FAIL),
        node("leaf", parent="mid", policy=OnFailure.FAIL),
    )
    await bench.end((await bench.take())[0], Fail("broken"))
    assert [await state(bench, id) for id in ("leaf", "mid", "root")] == [State.FAILED] * 3
    assert await state(bench, "top") is State.WAITING_CHILDREN
    error = (await bench.get("root")).history.error
    assert error == "Child job mid failed: Child job leaf failed: broken"


async def test_a_failure_climbs_through_a_very_deep_tree(bench: Bench) -> None:
    depth = 2000
    nodes = [
        node(
            f"n{n}",
            *([f"n{n + 1}"] if n + 1 < depth else []),
            parent=f"n{n - 1}" if n else None,
            policy=OnFailure.FAIL if n else None,
        )
        for n in range(depth)
    ]
    await push_flow(bench, *nodes)
    await bench.end((await bench.take())[0], Fail("x"))
    assert (await bench.hub.counts("q")).failed == depth


@pytest.mark.parametrize(
    ("policy", "runs_at_once", "failed", "ignored"),
    [
        (OnFailure.CONTINUE, True, 1, 0),
        (OnFailure.IGNORE, False, 0, 1),
        (OnFailure.REMOVE, False, 0, 0),
    ],
)
async def test_a_policy_lets_the_parent_go_on_without_the_child(
    bench: Bench, policy: OnFailure, runs_at_once: bool, failed: int, ignored: int
) -> None:
    await push_flow(
        bench, node("root", "bad", "good"), node("bad", parent="root", policy=policy), node("good", parent="root")
    )
    bad, good = await bench.take(2)
    await bench.end(bad, Fail("broken"))
    assert (await state(bench, "root") is State.WAITING) == runs_at_once
    await bench.end(good, Complete())
    assert await bench.take_names() == ["root"]
    values = await bench.hub.run(
        lambda tx: (flowedits.failed_children(tx, "root"), flowedits.ignored_failures(tx, "root"))
    )
    assert [len(each) for each in values] == [failed, ignored]
    for each in values:
        assert all(msgspec.msgpack.decode(value) == "broken" for value in each.values())


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ([node("a", "b"), node("b", "a", parent="a")], "does not point back|cycle"),
        ([node("a"), node("a")], "duplicate flow job id: a"),
        ([node("a:b")], "cannot contain a colon"),
        ([node("")], "not well-formed"),
        ([node("a", after=("a",))], "cannot depend on itself: a"),
        ([node("a", after=("x",))], "flow dependency not found: x"),
        ([node("a", parent="x")], "flow parent not found: x"),
        ([node("a"), node("b", parent="a")], "flow parent a does not own child b"),
        ([node("a", "b"), node("b")], "does not point back to parent a"),
        ([node("a", after=("b",)), node("b", after=("c",)), node("c", after=("a",))], "cycle"),
        ([node("a", policy=OnFailure.FAIL)], "requires a parent"),
        ([node("a", queue="no queue")], "invalid flow queue"),
    ],
)
async def test_a_bad_flow_is_refused(nodes: list[FlowJob], text: str) -> None:
    with pytest.raises(Invalid, match=text):
        check_flow(nodes)


async def test_a_flow_whose_id_is_known_is_refused_whole(bench: Bench) -> None:
    await bench.add("x", custom_id="leaf")
    await finish(bench, "x")
    with pytest.raises(Invalid, match="Flow job leaf already exists"):
        await push_flow(bench, node("root", "leaf"), node("leaf", parent="root"))
    assert (await bench.hub.counts("q")).waiting_children == 0


async def test_a_child_can_be_tied_to_its_parent_afterwards(bench: Bench) -> None:
    (parent, child) = await bench.add("parent", "child")
    await bench.hub.run(lambda tx: flowedits.update_parent(tx, child, parent))
    assert await bench.take_names() == ["child"]
    assert (await bench.get(child)).options.parent_id == parent
    assert (await bench.get(parent)).options.children_ids == (child,)
    for wrong, kind in (((child, child), Invalid), ((child, "x"), NotFound), (("x", parent), NotFound)):
        with pytest.raises(kind):
            await bench.hub.run(lambda tx, wrong=wrong: flowedits.update_parent(tx, *wrong))
    with pytest.raises((Invalid, WrongState)):
        await bench.hub.run(lambda tx: flowedits.update_parent(tx, parent, child))


async def test_a_tie_that_closes_a_circle_is_refused(bench: Bench) -> None:
    (a,) = await bench.add("a")
    (b,) = await bench.add("b", options=Options(depends_on=(a,)))
    with pytest.raises(Invalid, match="cycle"):
        await bench.hub.run(lambda tx: flowedits.update_parent(tx, b, a))
    await finish(bench, "a")


async def test_an_active_parent_can_wait_for_its_children(bench: Bench) -> None:
    await push_flow(bench, node("root", "leaf"), node("leaf", parent="root", policy=OnFailure.CONTINUE))
    (leaf,) = await bench.take()
    await bench.end(leaf, Complete())
    (root,) = await bench.take()
    (late,) = await bench.add("late")
    await bench.hub.run(lambda tx: flowedits.move_to_waiting_children(tx, "root", root.token))
    assert await state(bench, "root") is State.WAITING  # nothing pending: it goes on
    (root, *_) = [each for each in await bench.take(5) if each.job.id == "root"]
    with pytest.raises(HubqueueError):
        await bench.hub.run(lambda tx: flowedits.move_to_waiting_children(tx, late, "1.x"))


async def test_a_child_can_be_cut_off_or_its_siblings_removed(bench: Bench) -> None:
    await push_flow(
        bench,
        node("root", "a", "b", "c"),
        node("a", parent="root"),
        node("b", parent="root"),
        node("c", parent="root"),
    )
    assert await bench.hub.run(lambda tx: flowedits.remove_child_dependency(tx, "a"))
    assert not await bench.hub.run(lambda tx: flowedits.remove_child_dependency(tx, "a"))
    await bench.hub.run(lambda tx: flowedits.remove_unprocessed_children(tx, "root"))
    for gone in ("b", "c"):
        with pytest.raises(NotFound):
            await bench.get(gone)
    assert sorted(await bench.take_names()) == ["a", "root"]
    with pytest.raises(Invalid, match="has no parent"):
        await bench.hub.run(lambda tx: flowedits.remove_child_dependency(tx, "root"))


async def test_a_removed_dependent_leaves_nothing_behind(bench: Bench) -> None:
    await push_flow(bench, node("root", "leaf"), node("leaf", parent="root"))
    await bench.hub.cancel("root")
    await finish(bench, "leaf")
    count = await bench.hub.run(lambda tx: tx.execute("SELECT count(*) FROM dependency").fetchone()[0])
    assert count == 0


async def test_no_parent_takes_children_without_bound(bench: Bench) -> None:
    (parent, child) = await bench.add("parent", "child")

    def crowd(tx: Tx) -> None:
        job, _ = rows.find(tx, parent)
        flow.set_options(tx, job, Options(children_ids=tuple(str(n) for n in range(MAX_RELATIVES))))

    await bench.hub.run(crowd)
    with pytest.raises(Invalid, match="has 10000 children already"):
        await bench.hub.run(lambda tx: flowedits.update_parent(tx, child, parent))


async def test_values_of_children_that_fit_into_no_reply_are_refused(bench: Bench) -> None:
    ids = [f"c{n}" for n in range(4)]
    await push_flow(bench, node("root", *ids), *[node(id, parent="root") for id in ids])
    await finish(bench, *ids, result=b"\xc6" + (9 * 2**20).to_bytes(4, "big") + bytes(9 * 2**20))
    with pytest.raises(PayloadTooLarge):
        await bench.hub.run(lambda tx: flowedits.children_values(tx, "root"))


async def test_a_child_that_is_gone_but_ended_may_still_be_given_to_the_parent_that_names_it(bench: Bench) -> None:
    await bench.add("kid", custom_id="kid", options=Options(remove_on_complete=True))
    await bench.add("root", custom_id="root", options=Options(depends_on=("kid",), children_ids=("kid",)))
    await finish(bench, "kid", result=b"\x05")
    with pytest.raises(NotFound):
        await bench.get("kid")
    await bench.hub.run(lambda tx: flowedits.update_parent(tx, "kid", "root"))
    assert await bench.hub.run(lambda tx: flowedits.children_values(tx, "root")) == {"q:kid": b"\x05"}
