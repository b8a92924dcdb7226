"""The table of outcomes, row by row: what is the link's trouble and what is the job's."""

from __future__ import annotations

import ssl

import pytest

from hubqueue import errors
from hubqueue.errors import HubqueueError
from hubqueue.forward.verdict import OF_CODE, Down, Reason, Rejected, SinkDown, verdict

LINK = [
    (errors.LinkDown(), Reason.UNREACHABLE),
    (errors.AnswerLost(), Reason.UNREACHABLE),
    (errors.TimedOut(), Reason.TIMEOUT),
    (errors.NotAuthenticated(), Reason.AUTH),
    (errors.Forbidden(), Reason.AUTH),
    (errors.Busy(), Reason.QUOTA),
    (errors.QueueFull(), Reason.QUEUE_FULL),
    (errors.DiskFull(), Reason.DISK_FULL),
    (errors.Draining(), Reason.DRAINING),
    (errors.StoreError(), Reason.STORE),
    (errors.ProtocolError(), Reason.PROTOCOL),
    (errors.UnknownCommand(), Reason.PROTOCOL),
    (errors.Duplicate(), Reason.UNKNOWN),
    (HubqueueError("Internal server error"), Reason.UNKNOWN),
    (ssl.SSLCertVerificationError("self-signed certificate"), Reason.TLS),
    (TimeoutError(), Reason.TIMEOUT),
    (ConnectionRefusedError(111, "Connection refused"), Reason.UNREACHABLE),
    (EOFError("0 bytes read"), Reason.UNREACHABLE),
    (RuntimeError("a defect of the sink"), Reason.UNKNOWN),
]
JOB = [errors.PayloadTooLarge(), errors.Invalid("priority must be at most 1000000")]


@pytest.mark.parametrize(("error", "reason"), LINK, ids=[type(error).__name__ for error, _ in LINK])
def test_trouble_of_the_link_holds_everything_back(error: Exception, reason: Reason) -> None:
    meaning = verdict(error)
    assert isinstance(meaning, Down)
    assert meaning.reason is reason
    assert meaning.error


@pytest.mark.parametrize("error", JOB, ids=[type(error).__name__ for error in JOB])
def test_trouble_of_a_job_is_its_own(error: HubqueueError) -> None:
    assert verdict(error) == Rejected(error.code, error.message)


def test_every_code_of_the_table_has_a_row_here() -> None:
    rows = {error.code for error, _ in LINK if isinstance(error, HubqueueError)} | {error.code for error in JOB}
    assert set(OF_CODE) <= rows


def test_only_a_link_that_is_out_of_reach_raises_no_alert() -> None:
    assert [reason for reason in Reason if not Down(reason, "x").alert] == [Reason.UNREACHABLE]


def test_a_lost_link_is_told_without_the_words_that_do_not_hold_for_a_job_that_is_given_up() -> None:
    assert verdict(errors.LinkDown("hung up")) == Down(Reason.UNREACHABLE, "hung up")
    assert verdict(errors.LinkDown("hung up", hint="look there")) == Down(Reason.UNREACHABLE, "hung up (look there)")


def test_a_refused_certificate_is_a_tls_trouble_although_the_client_says_link_down() -> None:
    error = errors.LinkDown("the certificate is not trusted")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed")
    assert verdict(error) == Down(Reason.TLS, error.message)


def test_a_text_that_names_its_entry_is_a_rejection_even_without_a_known_code() -> None:
    meaning = verdict(HubqueueError("jobs[3]: Job data must be JSON serializable"))
    assert isinstance(meaning, Rejected)


def test_a_full_queue_stays_the_links_trouble_although_the_text_names_an_entry() -> None:
    meaning = verdict(errors.QueueFull("jobs[3]: The queue is full"))
    assert isinstance(meaning, Down)


def test_a_sink_may_give_its_own_verdict_with_the_wait_it_was_asked_for() -> None:
    down = Down(Reason.QUOTA, "429 Too Many Requests", retry_after_s=30)
    assert verdict(SinkDown(down)) is down
