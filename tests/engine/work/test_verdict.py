"""Who is blamed for the death of a handler process."""

from __future__ import annotations

from hubqueue.work.verdict import Verdict, judge


def test_the_only_one_that_ran_is_guilty_and_stays_a_suspect() -> None:
    assert judge({"a"}, {"a"}) == Verdict("a", frozenset({"a"}))


def test_a_job_that_only_waited_for_its_turn_is_no_suspect() -> None:
    assert judge({"a", "waits"}, {"a"}) == Verdict("a", frozenset({"a"}))


def test_of_several_none_is_guilty_and_all_are_suspects() -> None:
    assert judge({"a", "b", "waits"}, {"a", "b"}) == Verdict(None, frozenset({"a", "b"}))


def test_a_thread_that_ran_on_after_its_job_was_settled_makes_the_other_one_a_suspect_only() -> None:
    assert judge({"a"}, {"a", "settled"}) == Verdict(None, frozenset({"a", "settled"}))


def test_a_thread_of_a_settled_job_leaves_nobody_to_fail() -> None:
    assert judge(set(), {"settled"}) == Verdict(None, frozenset({"settled"}))


def test_a_process_that_ran_nothing_leaves_no_suspects() -> None:
    assert judge({"a"}, set()) == Verdict(None, frozenset())
