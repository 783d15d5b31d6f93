"""Who is told of what, what they are told, and that no link in it decides anything."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings

from approvals import After, User
from approvals.models import ApprovalRequest, LinkToken, Vote
from approvals.services.absences import start_absence
from approvals.services.links import grant_of, make_link, open_link
from approvals.services.preferences import set_preferences
from approvals.services.requests import (
    ask_requester,
    comment_on_request,
    delegate_request,
    reply_to_question,
    withdraw_request,
)
from approvals.virtual_time import VirtualClock
from durable_engine import Duration
from durable_engine.models import OutboxMessage
from durable_engine.scheduler.outbox import deliver_due
from durable_engine.services.exceptions import DurableServiceError
from tests.approvals.people import opened, user, vote
from tests.dashboard.corpus import HOSTILE, executable_parts

pytestmark = pytest.mark.django_db


def deliver() -> list[Any]:
    """Deliver everything; return the mails of this time."""
    before = len(mail.outbox)
    while deliver_due():
        pass
    return mail.outbox[before:]


def told(mails: list[Any]) -> dict[str, str]:
    """Who was told what, by user name."""
    return {each.to[0].partition("@")[0]: each.subject for each in mails}


def html(sent: Any) -> str:
    return str(sent.alternatives[0][0])


def test_those_who_are_asked_are_told_and_the_requester_hears_the_end() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    user("rae")
    request = opened(requester="rae", quorum=2)
    assert told(deliver()) == dict.fromkeys(("ana", "ben"), "Please decide: Refund 120 EUR")
    vote(request, ana, "reject", comment="too much")
    assert told(deliver()) == {"rae": "Rejected: Refund 120 EUR"}


def test_who_voted_hears_the_end_and_not_of_their_own_doing() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened(quorum=2)
    deliver()
    vote(request, ana)
    vote(request, ben)
    assert told(deliver()) == {"ana": "Approved: Refund 120 EUR"}


def test_a_mail_says_what_is_asked_by_when_and_where() -> None:
    user("ana", "finance")
    request = opened(requester="rae", due=Duration.from_days(1))
    (sent,) = deliver()
    for text in (sent.body, html(sent)):
        for part in ("Refund 120 EUR", "rae", f"/approvals/requests/{request.pk}/", "orders", "Due"):
            assert part in text
        assert "decides nothing" in text


def test_what_was_decided_before_the_mail_went_out_asks_nobody() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    vote(opened(), ana)
    assert told(deliver()) == {}
    assert set(OutboxMessage.objects.values_list("status", flat=True)) == {"DROPPED"}


def test_who_has_answered_is_not_reminded_by_a_mail_that_was_on_its_way() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    with VirtualClock() as clock:
        request = opened(quorum=2, remind=[After(hours=1)])
        deliver()
        clock.advance(hours=2)
        vote(request, ana)
        assert told(deliver()) == {"ben": "Still waiting for you: Refund 120 EUR"}


def test_the_substitute_of_who_is_away_is_told_too() -> None:
    ana = user("ana")
    user("ben")
    request = opened(assignees=[User("ana")])
    deliver()
    start_absence(actor=ana, starts_at=None, ends_at=request.opened_at + timedelta(days=3), substitute="ben")
    opened(assignees=[User("ana")], title="Another")
    assert told(deliver()) == dict.fromkeys(("ana", "ben"), "Please decide: Another")


def test_words_reach_those_who_take_part() -> None:
    ana, ben, rae = user("ana", "finance"), user("ben"), user("rae")
    request = opened(requester="rae")
    deliver()
    ask_requester(request.pk, actor=ana, text="Which order?")
    (question,) = deliver()
    assert told([question]) == {"rae": "ana has a question: Refund 120 EUR"}
    assert "Which order?" in question.body
    reply_to_question(request.pk, actor=rae, text="Number 7.")
    assert told(deliver()) == {"ana": "rae replied: Refund 120 EUR"}
    comment_on_request(request.pk, actor=rae, text="Soon, please.")
    assert set(told(deliver())) == {"ana"}
    delegate_request(request.pk, actor=ana, to=ben.username, comment="you know more")
    (sent_on,) = deliver()
    assert told([sent_on]) == {"ben": "ana asks you to decide: Refund 120 EUR"}
    withdraw_request(request.pk, actor=rae, reason="ordered twice")
    (end,) = deliver()
    assert "ordered twice" in end.body


def test_wishes_are_heard() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    set_preferences(ana, mail_requests=False)
    opened()
    assert set(told(deliver())) == {"ben"}


def test_people_without_an_address_hold_up_nobody() -> None:
    user("ana", "finance", email="")
    user("ben", "finance")
    opened()
    assert set(told(deliver())) == {"ben"}


def test_those_who_cannot_be_told_are_seen(settings: Settings) -> None:
    user("ana", "finance")
    settings.DURABLE_WEBHOOKS = {}
    opened(notify=["webhook:crm"])
    deliver()
    row = ApprovalRequest.objects.get()
    assert (row.health, row.health_reason) == ("NOTIFY_FAILING", "crm: DURABLE_WEBHOOKS has no 'crm'")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(hostile: str) -> None:
    user("ana", "finance")
    opened(title=hostile.replace("\x00", "")[:200] or "-", requester=hostile.replace("\x00", "")[:200] or None)
    (sent,) = deliver()
    assert executable_parts(html(sent)) == []
    assert "\n" not in sent.subject


def test_the_callback_id_is_in_no_message() -> None:
    from durable_engine.services.callback_ids import callback_id_for

    user("ana", "finance")
    request = opened()
    (sent,) = deliver()
    secret = callback_id_for(request.execution_id, request.operation_id)
    assert secret not in sent.body + html(sent)
    assert not OutboxMessage.objects.filter(payload__icontains=secret).exists()


# Links


def test_a_link_without_a_login_is_made_only_where_the_handler_says_so_and_is_stored_as_its_hash() -> None:
    user("ana", "finance")
    opened()
    assert "/approvals/link/" not in deliver()[0].body
    opened(link="confirm")
    (sent,) = deliver()
    (path,) = set(re.findall(r"/approvals/link/([^/\s]+)/", sent.body))
    row = LinkToken.objects.get()
    assert path not in (row.sha256, str(row.id))
    assert open_link(path) is not None
    assert not OutboxMessage.objects.filter(payload__icontains=path).exists()


def test_a_link_is_good_for_one_answer_of_one_person_to_one_request() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request, other = opened(link="confirm", quorum=2), opened(link="confirm")
    grant = open_link(make_link(request, ana.pk))
    assert grant is not None
    assert grant.user == ana
    with pytest.raises(DurableServiceError, match="link"):
        vote(other, ana, link=grant.token, channel="link")
    vote(request, ana, link=grant.token, channel="link")
    assert grant_of(grant.id) is None
    assert Vote.objects.get().channel == "link"


def test_the_end_of_a_request_ends_its_links() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened(link="confirm")
    token = make_link(request, ana.pk)
    vote(request, ben)
    assert open_link(token) is None


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "ü" * 43, "x" * 10_000])
def test_a_token_that_nobody_made_opens_nothing(token: str) -> None:
    assert open_link(token) is None
