"""Who is blamed for the death of a handler process."""

from __future__ import annotations

from hubqueue.model.outcome import Fail, Release
from hubqueue.work.verdict import judge

CAUSE = "handler process died by signal SIGABRT"


def test_the_only_one_that_ran_failed_as_worker_lost() -> None:
    verdict = judge({"a"}, {"a"}, CAUSE)
    fail = verdict.outcomes["a"]
    assert isinstance(fail, Fail)
    assert (fail.error, fail.reason) == (CAUSE, "worker_lost")
    assert verdict.suspects == {"a"}


def test_a_job_that_only_waited_for_its_turn_is_given_back_without_suspicion() -> None:
    verdict = judge({"a", "waits"}, {"a"}, CAUSE)
    assert isinstance(verdict.outcomes["a"], Fail)
    assert isinstance(verdict.outcomes["waits"], Release)
    assert verdict.suspects == {"a"}


def test_of_several_none_is_blamed_and_all_are_suspects() -> None:
    verdict = judge({"a", "b", "waits"}, {"a", "b"}, CAUSE)
    assert {id: type(outcome) for id, outcome in verdict.outcomes.items()} == {
        "a": Release,
        "b": Release,
        "waits": Release,
    }
    assert verdict.suspects == {"a", "b"}


def test_a_thread_that_ran_on_after_its_job_was_settled_makes_the_other_one_a_suspect_only() -> None:
    verdict = judge({"a"}, {"a", "settled"}, CAUSE)
    assert isinstance(verdict.outcomes["a"], Release)
    assert verdict.suspects == {"a", "settled"}


def test_a_thread_of_a_settled_job_leaves_nothing_to_settle() -> None:
    verdict = judge(set(), {"settled"}, CAUSE)
    assert verdict.outcomes == {}
    assert verdict.suspects == {"settled"}


def test_a_process_that_ran_nothing_gives_everything_back() -> None:
    verdict = judge({"a"}, set(), CAUSE)
    assert isinstance(verdict.outcomes["a"], Release)
    assert verdict.suspects == frozenset()
