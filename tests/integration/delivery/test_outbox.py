"""Messages are written with the fact they tell of and delivered once it is committed, whoever dies in between."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from durable_engine import extensions
from durable_engine.extensions import Message, MessageMaker, Outgoing
from durable_engine.models import OutboxMessage, OutboxStatus
from durable_engine.scheduler.outbox import deliver_due
from durable_engine.services import outbox
from durable_engine.services.outbox import NewMessage, claim_due, enqueue
from tests.integration.delivery.receiver import Receiver, receiver

pytestmark = pytest.mark.django_db

given_up: list[str] = []


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_makers", {})
    given_up.clear()

    def make(outgoing: Outgoing) -> Message | None:
        if outgoing.payload.get("broken"):
            raise RuntimeError("no such order")
        if outgoing.payload.get("outdated"):
            return None
        return Message("Order 7", "It is ready.", "<p>It is ready.</p>", {"order": 7})

    extensions.register_messages("orders", MessageMaker(make, lambda outgoing, problem: given_up.append(problem)))


@pytest.fixture
def other_side(settings: Settings) -> Iterator[Receiver]:
    with receiver() as found:
        settings.DURABLE_WEBHOOKS = {"crm": (found.url, "s" * 32)}
        settings.DURABLE_WEBHOOKS_PRIVATE = True
        yield found


def message(
    key: str = "order-7", channel: str = "email", recipient: str = "ana@example.com", **payload: object
) -> NewMessage:
    return NewMessage(key, "orders", channel, recipient, payload)


def make_due() -> None:
    OutboxMessage.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))


def status() -> tuple[str, int]:
    row = OutboxMessage.objects.get()
    return row.status, row.attempts


def test_a_mail_is_sent_with_both_texts_and_an_id_of_its_own() -> None:
    enqueue([message()])
    assert deliver_due() == 1
    (sent,) = mail.outbox
    assert (sent.subject, sent.body, sent.to) == ("Order 7", "It is ready.", ["ana@example.com"])
    assert isinstance(sent, mail.EmailMultiAlternatives)
    assert sent.alternatives[0][0] == "<p>It is ready.</p>"
    assert sent.extra_headers["Message-ID"] == f"<{OutboxMessage.objects.get().pk}@perdure>"
    assert status() == ("SENT", 1)
    assert deliver_due() == 0


def test_what_is_enqueued_twice_is_told_once() -> None:
    enqueue([message(), message()])
    enqueue([message()])
    deliver_due()
    assert len(mail.outbox) == 1


def test_what_is_rolled_back_is_never_told() -> None:
    with transaction.atomic():
        enqueue([message()])
        transaction.set_rollback(True)
    assert deliver_due() == 0


def test_what_is_out_of_date_by_then_is_not_sent() -> None:
    enqueue([message(outdated=True)])
    deliver_due()
    assert mail.outbox == []
    assert status()[0] == "DROPPED"


def test_a_webhook_is_tried_again_later_and_later_and_carries_the_same_id(other_side: Receiver) -> None:
    other_side.answers = [500, 503]
    enqueue([message(channel="webhook", recipient="crm")])
    waits = []
    for _ in range(3):
        before = timezone.now()
        deliver_due()
        waits.append((OutboxMessage.objects.get().next_try_at - before).total_seconds())
        make_due()
    assert status() == ("SENT", 3)
    assert waits[0] == pytest.approx(30, abs=20)
    assert waits[1] == pytest.approx(60, abs=20)
    assert len({headers["webhook-id"] for headers, _ in other_side.received}) == 1
    assert json.loads(other_side.received[-1][1]) == {"order": 7}


def test_after_the_last_attempt_it_is_given_up_and_the_app_is_told(other_side: Receiver) -> None:
    enqueue([message(channel="webhook", recipient="crm")])
    OutboxMessage.objects.update(attempts=outbox.MAX_ATTEMPTS - 1)
    other_side.answers = [500]
    deliver_due()
    assert status()[0] == "FAILED"
    assert given_up == ["the webhook answered 500"]


def app_that_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the app, told that a message was given up, raise this."""

    def failed(outgoing: Outgoing, problem: str) -> None:
        raise error

    maker = MessageMaker(lambda outgoing: Message("Order 7", "It is ready."), failed)
    monkeypatch.setattr(extensions, "_makers", {"orders": maker})


def test_an_app_that_cannot_be_told_keeps_no_other_message_from_being_marked(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    app_that_raises(monkeypatch, RuntimeError("no such order"))
    settings.DURABLE_WEBHOOKS = {}
    enqueue([message("a", "webhook", "crm"), message("b")])
    OutboxMessage.objects.filter(dedupe_key="a").update(next_try_at=timezone.now() - timedelta(minutes=1))
    deliver_due()
    assert dict(OutboxMessage.objects.values_list("dedupe_key", "status")) == {"a": "FAILED", "b": "SENT"}


def test_whoever_dies_before_the_app_is_told_has_not_given_the_message_up(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    app_that_raises(monkeypatch, SystemExit())
    settings.DURABLE_WEBHOOKS = {}
    enqueue([message("a", "webhook", "crm")])
    OutboxMessage.objects.update(attempts=outbox.MAX_ATTEMPTS - 1)
    with pytest.raises(SystemExit):
        deliver_due()
    assert status()[0] == "PENDING"


def test_an_endpoint_that_is_not_configured_is_given_up_at_once(settings: Settings) -> None:
    settings.DURABLE_WEBHOOKS = {}
    settings.DURABLE_APPRISE = {}
    enqueue([message("a", "webhook", "crm"), message("b", "apprise", "team")])
    deliver_due()
    assert set(OutboxMessage.objects.values_list("status", flat=True)) == {"FAILED"}
    assert given_up == ["DURABLE_WEBHOOKS has no 'crm'", "DURABLE_APPRISE has no 'team'"]


def test_a_message_that_cannot_be_made_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    enqueue([message("a", broken=True), message("b")])
    deliver_due()
    assert len(mail.outbox) == 1
    assert OutboxMessage.objects.get(dedupe_key="a").last_error == "RuntimeError: no such order"


def test_a_mail_server_that_is_away_is_waited_for(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", taken.getsockname()[1]
        enqueue([message()])
        deliver_due()
    assert status() == ("PENDING", 1)
    assert "ConnectionRefusedError" in OutboxMessage.objects.get().last_error


def test_a_message_whose_deliverer_died_is_delivered_by_another_after_a_while() -> None:
    enqueue([message()])
    (claimed,) = claim_due(4)  # and dies
    assert deliver_due() == 0
    make_due()
    assert deliver_due() == 1
    assert status() == ("SENT", 2)
    # The first one was only slow: its late verdict counts nothing.
    outbox.finish(claimed, OutboxStatus.FAILED, "late")
    assert status() == ("SENT", 2)


# Importing apprise warns of what its own dependencies do.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_chat_url_that_cannot_be_read_is_repeated_nowhere(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DURABLE_APPRISE = {"team": "nonsense://token-that-is-secret"}
    enqueue([message("b", "apprise", "team")])
    deliver_due()
    assert "token-that-is-secret" not in OutboxMessage.objects.get().last_error + caplog.text
    assert status()[0] == "FAILED"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_chats_are_told_through_apprise(settings: Settings, other_side: Receiver) -> None:
    settings.DURABLE_APPRISE = {"team": f"json://127.0.0.1:{other_side.port}/"}
    enqueue([message("b", "apprise", "team")])
    deliver_due()
    sent = json.loads(other_side.received[0][1])
    assert (sent["title"], sent["message"]) == ("Order 7", "It is ready.")


def test_a_line_break_in_a_subject_makes_no_header() -> None:
    extensions.register_messages("orders", MessageMaker(lambda _: Message("Hi\r\nBcc: all@example.com", "text")))
    enqueue([message()])
    deliver_due()
    assert mail.outbox[0].subject == "Hi Bcc: all@example.com"


def test_what_was_told_long_ago_is_forgotten_and_what_waits_is_not() -> None:
    enqueue([message("old"), message("new")])
    deliver_due()
    enqueue([message("waiting")])
    OutboxMessage.objects.filter(dedupe_key="old").update(finished_at=timezone.now() - timedelta(days=31))
    assert outbox.forget_finished(500) == 1
    assert set(OutboxMessage.objects.values_list("dedupe_key", flat=True)) == {"new", "waiting"}


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_never_deliver_the_same_message(other_side: Receiver) -> None:
    enqueue(message(str(number), "webhook", "crm") for number in range(40))
    barrier = threading.Barrier(3)

    def drain() -> None:
        barrier.wait()
        while deliver_due():
            pass
        connection.close()

    threads = [threading.Thread(target=drain) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [headers["webhook-id"] for headers, _ in other_side.received]
    assert len(ids) == len(set(ids)) == 40
