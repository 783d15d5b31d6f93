"""Mail scanners, previews and prefetching browsers open every link of every message; none of that changes anything."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User as AuthUser
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from pytest_django import Settings

from approvals import After, Group, User
from approvals.messages import SUBJECTS
from approvals.models import (
    ApprovalEvent,
    ApprovalRequest,
    ApprovalTimer,
    Candidate,
    Delegation,
    Draft,
    LinkToken,
    OutOfOffice,
    Vote,
)
from approvals.services.requests import (
    ask_requester,
    comment_on_request,
    delegate_request,
    reassign_request,
    reply_to_question,
)
from approvals.sweeps.reconcile import check_satisfiable_again
from approvals.virtual_time import VirtualClock
from durable_engine import Duration
from durable_engine.models import AuditEntry, Callback, Event, Execution, OutboxMessage
from durable_engine.scheduler.outbox import deliver_due
from tests.approvals.people import client_of, opened, user, vote
from tests.integration.delivery.receiver import Receiver, receiver

pytestmark = pytest.mark.django_db

ADDRESS = re.compile(r"http://localhost:8000(/[^\s\"<]*)")
HREF = re.compile(r"(?:href|src|action|data-url)=\"(/[^\"#]*)")
WRITTEN_BY_AN_ANSWER = (
    ApprovalEvent,
    ApprovalRequest,
    ApprovalTimer,
    AuditEntry,
    Callback,
    Candidate,
    Delegation,
    Draft,
    Event,
    Execution,
    LinkToken,
    OutboxMessage,
    OutOfOffice,
    Vote,
)


@pytest.fixture
def other_side(settings: Settings) -> Iterator[Receiver]:
    """A program that is told too, and may show what it is told in a chat that previews links."""
    with receiver() as found:
        settings.DURABLE_WEBHOOKS = {"crm": (found.url, "a-secret-of-32-characters-or-more-x")}
        settings.DURABLE_WEBHOOKS_PRIVATE = True
        yield found


class Told:
    """Two requests to which everything happens that people are told of, but the end."""

    def __init__(self, link: str) -> None:
        self.ana, self.ben = user("ana", "finance"), user("ben", "finance")
        self.cem, self.dia, self.rae = user("cem"), user("dia"), user("rae")
        chief, fay = user("chief", rights=["supervise_approvalrequest"]), user("fay")
        user("eve")
        with VirtualClock() as clock:
            self.request = opened(
                requester="rae",
                link=link,
                quorum=2,
                notify=["email", "webhook:crm"],
                due=Duration.from_hours(3),
                remind=[After(hours=1)],
                escalate=[After(hours=4).add(User("dia"))],
            )
            deliver()
            for _ in range(4):
                clock.advance(hours=1)
                deliver()
        comment_on_request(self.request.pk, actor=self.ana, text="Hm.")
        ask_requester(self.request.pk, actor=self.ana, text="Which order?")
        deliver()
        reply_to_question(self.request.pk, actor=self.rae, text="Number 7.")
        delegate_request(self.request.pk, actor=self.ana, to="cem")
        reassign_request(self.request.pk, actor=chief, to=[User("eve")], reason="holiday", replace=False)
        deliver()
        self.stuck = opened(requester="rae", link=link, assignees=[User("fay")], notify=["email", "webhook:crm"])
        AuthUser.objects.filter(pk=fay.pk).update(is_active=False)
        ApprovalRequest.objects.update(checked_at="2020-01-01T00:00Z")
        check_satisfiable_again()
        deliver()


def deliver() -> None:
    while deliver_due():
        pass


def sent_kinds() -> set[str]:
    return set(OutboxMessage.objects.filter(status="SENT").values_list("payload__kind", flat=True))


def paths(other_side: Receiver) -> list[str]:
    """Every address in every message so far: in texts, in HTML, and in what programs are told."""
    mails = [each for each in mail.outbox if isinstance(each, EmailMultiAlternatives)]
    texts = [str(part) for each in mails for part in (each.body, *(other[0] for other in each.alternatives))]
    texts += [body.decode() for _, body in other_side.received]
    return sorted({path for text in texts for path in ADDRESS.findall(text)})


def state() -> list[Any]:
    """Everything that an answer, or the use of a link, would change."""
    return [list(model._default_manager.order_by("pk").values()) for model in WRITTEN_BY_AN_ANSWER]


def visits(client: Client, path: str) -> list[Callable[[], Any]]:
    """What scanners and previews do with one link."""
    tempting = f"{path}?choice=approve&decision=approve&approved=true&on_behalf_of=1"
    return [
        lambda: client.get(path, follow=True),
        lambda: client.head(path, follow=True),
        lambda: client.get(tempting, follow=True),
        lambda: client.options(path),
    ]


def scan(found: list[str], clients: list[Client], seed: int) -> None:
    """Open everything in an order of chance, and whatever a page leads to that it brought up."""
    order = [visit for client in clients for path in found for visit in visits(client, path)]
    chance = random.Random(seed)
    chance.shuffle(order)
    further = set()
    for visit in order:
        further |= set(HREF.findall(visit().content.decode()))
    for path in sorted(each for each in further if "/approvals/" in each):
        chance.choice(clients).get(path)


@pytest.mark.parametrize("link", ["login", "confirm"])
def test_every_link_of_every_message_opened_in_any_order_changes_nothing(link: str, other_side: Receiver) -> None:
    told = Told(link)
    assert sent_kinds() == set(SUBJECTS) - {"closed"}
    # One that knows nobody and keeps its cookies, and the browser of somebody who may decide and is logged in.
    clients = [Client(), client_of(told.ana)]
    found = paths(other_side)
    assert any("/approvals/link/" in path for path in found) == (link == "confirm")

    def scanned(seed: int) -> None:
        before = state()
        scan(found, clients, seed)
        assert state() == before

    scanned(1)
    vote(told.request, told.ben)
    scanned(2)
    assert vote(told.request, told.dia).is_final
    deliver()
    assert sent_kinds() == set(SUBJECTS)
    found = paths(other_side)
    scanned(3)
    assert ApprovalRequest.objects.get(pk=told.request.pk).state == "APPROVED"


def test_a_scanned_link_still_answers() -> None:
    ana = user("ana", "finance")
    request = opened(link="confirm", assignees=[Group("finance")])
    deliver()
    (path,) = {path for path in ADDRESS.findall(str(mail.outbox[0].body)) if "/link/" in path}
    for _ in range(3):
        for visit in visits(Client(), path):
            visit()
    person = Client()
    confirm = person.get(path)["Location"]
    answer = {"choice": "approve", "operation_id": "first-and-only", "digest": request.digest}
    assert person.post(confirm, answer).status_code == 200
    assert Vote.objects.get().voter == ana
