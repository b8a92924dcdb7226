"""Which addresses a webhook may be sent to."""

from __future__ import annotations

import pytest

from hubqueue.errors import Invalid
from hubqueue.model.webhook import Guard, check_webhook


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "Webhook URL is required"),
        ("http://x/" + "a" * 2048, "Webhook URL too long (max 2048 characters)"),
        ("nonsense", "Invalid URL format"),
        ("http://", "Invalid URL format"),
        ("http://x:99999/", "Invalid URL format"),
        ("ftp://example.com/", "Webhook URL must use http or https protocol"),
        ("http://localhost/", "Webhook URL cannot point to localhost"),
        ("http://LOCALHOST./", "Webhook URL cannot point to localhost"),
        ("http://a.localhost/", "Webhook URL cannot point to localhost"),
        ("http://127.0.0.1/", "Webhook URL cannot point to localhost"),
        ("http://[::1]/", "Webhook URL cannot point to localhost"),
        ("http://[::ffff:127.0.0.1]/", "Webhook URL cannot point to localhost"),
        ("http://127.9.9.9/", "Webhook URL cannot point to loopback IP"),
        ("http://10.1.2.3/", "Webhook URL cannot point to private IP"),
        ("http://192.168.1.1/", "Webhook URL cannot point to private IP"),
        ("http://100.64.0.1/", "Webhook URL cannot point to private IP"),
        ("http://[fd00::1]/", "Webhook URL cannot point to private IP"),
        ("http://[::ffff:10.0.0.1]/", "Webhook URL cannot point to private IP"),
        ("http://[64:ff9b::a00:1]/", "Webhook URL cannot point to private IP"),
        ("http://[2002:a00:1::]/", "Webhook URL cannot point to private IP"),
        ("http://169.254.169.254/", "Webhook URL cannot point to link-local IP"),
        ("http://[fe80::1]/", "Webhook URL cannot point to link-local IP"),
        ("http://0.0.0.0/", "Webhook URL cannot point to unspecified IP"),
        ("http://224.0.0.1/", "Webhook URL cannot point to multicast IP"),
        ("http://metadata.google.internal/", "Webhook URL cannot point to cloud metadata endpoints"),
        ("http://2130706433/", "Invalid URL format"),
        ("http://0x7f.1/", "Invalid URL format"),
        ("http://0177.0.0.1/", "Invalid URL format"),
        ("http://127.1/", "Invalid URL format"),
    ],
)
def test_a_url_that_leads_into_the_house_is_refused(url: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_webhook(url, [], Guard())
    assert refused.value.message == text


@pytest.mark.parametrize("url", ["https://example.com/x?y=1", "http://8.8.8.8:8080/", "http://[2606:4700::1111]/"])
def test_a_public_url_is_fine(url: str) -> None:
    check_webhook(url, ["job.failed"], Guard())


def test_what_the_configuration_names_is_allowed() -> None:
    guard = Guard(["homeassistant.local", "192.168.1.0/24", "fd00::/8", "localhost"])
    for url in ("http://HomeAssistant.local:8123/", "http://192.168.1.7/", "http://[fd00::7]/", "http://localhost/"):
        check_webhook(url, [], guard)
    check_webhook("http://[::ffff:192.168.1.7]/", [], guard)
    with pytest.raises(Invalid):
        check_webhook("http://192.168.2.7/", [], guard)


def test_events_that_there_are_not_are_named() -> None:
    with pytest.raises(Invalid) as refused:
        check_webhook("http://example.com/", ["job.pushed", "a", "b"], Guard())
    assert refused.value.message == (
        "Invalid webhook event(s): a, b. Valid: job.pushed, job.started, job.completed, job.failed, job.progress, "
        "job.expired"
    )
