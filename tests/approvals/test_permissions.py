"""Who may do what: one table, and every way there is to a request keeps to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.contrib.auth.models import User as AuthUser
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from approvals import Group
from approvals import Permission as Asked
from approvals.models import ApprovalRequest
from approvals.queries.eligibility import actions_of
from approvals.queries.inbox import Box, inbox
from approvals.queries.requests import request_for
from approvals.rules import Action
from approvals.services.absences import start_absence, start_delegation
from approvals.services.links import make_link
from approvals.services.requests import ask_requester, claim_request, delegate_request
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.api_keys import create_api_key
from tests.approvals.people import opened, user, vote

pytestmark = pytest.mark.django_db

A = Action
LOOK = {A.VIEW, A.COMMENT}
# Of a request that is open and that one answer decides. RELEASE is of a claim of one's own, for administrators of
# another's; REPLY is while a question is open.
TRUTH: dict[str, set[Action]] = {
    "requester": LOOK | {A.REPLY, A.WITHDRAW},
    "candidate": LOOK | {A.DECIDE, A.CLAIM, A.RELEASE, A.DELEGATE, A.ASK},
    # Three ways to stand in for somebody who is asked.
    "delegate": LOOK | {A.DECIDE, A.CLAIM, A.RELEASE, A.ASK},
    "substitute": LOOK | {A.DECIDE, A.CLAIM, A.RELEASE, A.ASK},
    "sent on": LOOK | {A.DECIDE, A.CLAIM, A.RELEASE, A.ASK},
    "excluded": LOOK,
    # Stands in for somebody who is asked, and is excluded.
    "excluded delegate": LOOK,
    "watcher": LOOK,
    "stranger": set(),
    "viewer": LOOK,
    "administrator": LOOK | {A.RELEASE, A.REPLY, A.REASSIGN, A.EXTEND, A.WITHDRAW, A.BREAK_GLASS},
    "superuser": LOOK | {A.RELEASE, A.REPLY, A.REASSIGN, A.EXTEND, A.WITHDRAW, A.BREAK_GLASS},
    "former": set(),
}
RIGHTS = ["view_approvalrequest", "supervise_approvalrequest", "break_glass"]
CELLS = [(role, action) for role in TRUTH for action in Action]


@pytest.fixture
def people() -> dict[str, AuthUser]:
    found = {
        "requester": user("requester", "finance"),
        "candidate": user("candidate", "finance"),
        "principal": user("principal", "finance"),
        "delegate": user("delegate"),
        "substitute": user("substitute"),
        "sent on": user("sent-on"),
        "excluded": user("excluded", "finance"),
        "excluded delegate": user("excluded-delegate"),
        "watcher": user("watcher"),
        "stranger": user("stranger"),
        "viewer": user("viewer", rights=["view_approvalrequest"]),
        "administrator": user("administrator", rights=RIGHTS),
        "superuser": user("superuser", is_superuser=True),
        "former": user("former", "finance", is_active=False),
    }
    start_delegation(actor=found["principal"], to="delegate")
    start_delegation(actor=found["principal"], to="excluded-delegate")
    until = timezone.now() + timedelta(days=1)
    start_absence(actor=found["principal"], starts_at=None, ends_at=until, substitute="substitute")
    return found


@pytest.fixture
def request_(people: dict[str, AuthUser]) -> ApprovalRequest:
    request = opened(requester="requester", exclude=["excluded", "excluded-delegate"], bulk=True, link="confirm")
    delegate_request(request.pk, actor=people["principal"], to="sent-on")
    # As an escalation that tells somebody leaves it.
    ApprovalRequest.objects.update(watcher_ids=[people["watcher"].pk])
    return ApprovalRequest.objects.get()


def prepared(request: ApprovalRequest, people: dict[str, AuthUser], role: str, action: Action) -> ApprovalRequest:
    """Bring the request into the state in which the action makes sense."""
    if action is A.RELEASE:
        holder = people[role] if A.CLAIM in TRUTH[role] else people["principal"]
        claim_request(request.pk, actor=holder)
    if action is A.REPLY:
        ask_requester(request.pk, actor=people["candidate"], text="Why?")
    return ApprovalRequest.objects.get(pk=request.pk)


def page_post(request: ApprovalRequest, action: Action) -> tuple[str, dict[str, Any]]:
    """Return where a page posts the action, and what."""
    answer = {"choice": "approve", "digest": request.digest, "operation_id": uuid4().hex}
    later = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    names: dict[Action, tuple[str, dict[str, Any]]] = {
        A.DECIDE: ("detail", answer),
        A.CLAIM: ("claim", {}),
        A.RELEASE: ("release", {}),
        A.DELEGATE: ("delegate", {"to": "stranger"}),
        A.COMMENT: ("comment", {"text": "hm"}),
        A.ASK: ("comment", {"text": "why?", "kind": "ask"}),
        A.REPLY: ("comment", {"text": "so.", "kind": "reply"}),
        A.REASSIGN: ("reassign", {"users": "stranger", "reason": "r"}),
        A.EXTEND: ("extend", {"expires_at": later, "reason": "r"}),
        A.WITHDRAW: ("withdraw", {"reason": "r"}),
        A.BREAK_GLASS: ("break-glass", {**answer, "reason": "r"}),
    }
    name, data = names[action]
    return reverse(f"approvals:request-{name}", args=[request.pk]), data


def api_post(request: ApprovalRequest, action: Action) -> tuple[str, dict[str, Any]]:
    """Return where a program posts the action, and what."""
    answer = {"choice": "approve", "digest": request.digest, "operation_id": uuid4().hex}
    later = (timezone.now() + timedelta(days=2)).isoformat()
    names: dict[Action, tuple[str, dict[str, Any]]] = {
        A.DECIDE: ("votes", answer),
        A.CLAIM: ("claim", {}),
        A.RELEASE: ("release", {}),
        A.DELEGATE: ("delegate", {"to": "stranger"}),
        A.COMMENT: ("comments", {"text": "hm"}),
        A.ASK: ("questions", {"text": "why?"}),
        A.REPLY: ("replies", {"text": "so."}),
        A.REASSIGN: ("reassign", {"to": [{"user": "stranger"}], "reason": "r"}),
        A.EXTEND: ("extend", {"expires_at": later, "reason": "r"}),
        A.WITHDRAW: ("withdraw", {"reason": "r"}),
        A.BREAK_GLASS: ("break-glass", {**answer, "reason": "r"}),
    }
    name, data = names[action]
    return f"/api/approvals/requests/{request.pk}/{name}", data


def through_page(person: AuthUser, request: ApprovalRequest, action: Action) -> int:
    client = Client()
    client.force_login(person)
    if action is A.VIEW:
        # Everything there is to look at is there, or nothing is.
        names = ("detail", "history", "history-json", "history-csv", "changes")
        (status,) = {client.get(reverse(f"approvals:request-{name}", args=[request.pk])).status_code for name in names}
        return status
    where, data = page_post(request, action)
    return client.post(where, data).status_code


def through_api(person: AuthUser, request: ApprovalRequest, action: Action) -> int:
    AuthUser.objects.filter(pk=person.pk).update(is_active=True)
    pair = create_api_key("bot", actor=PYTHON_CODE, scopes=["approve"], acts_for=person.username)
    AuthUser.objects.filter(pk=person.pk).update(is_active=person.is_active)
    headers = {"Authorization": f"Bearer {pair.key.access_key_id}.{pair.secret}"}
    if action is A.VIEW:
        return Client().get(f"/api/approvals/requests/{request.pk}", headers=headers).status_code
    where, data = api_post(request, action)
    body = json.dumps(data)
    return Client().post(where, body, content_type="application/json", headers=headers).status_code


def through_link(person: AuthUser, request: ApprovalRequest, action: Action) -> int:
    client = Client()
    token = make_link(request, person.pk)
    shown = client.get(reverse("approvals:link", args=[token]), follow=True).status_code
    if action is A.VIEW:
        return shown
    where = reverse("approvals:link-confirm", args=[request.pk])
    answer = {"choice": "approve", "digest": request.digest, "operation_id": uuid4().hex}
    return client.post(where, answer).status_code


def through_bulk(person: AuthUser, request: ApprovalRequest, action: Action) -> int:
    client = Client()
    client.force_login(person)
    data = {
        "id": str(request.pk),
        "outcome": "approve",
        f"operation_id-{request.pk}": uuid4().hex,
        f"digest-{request.pk}": request.digest,
    }
    return client.post(reverse("approvals:bulk"), data).status_code


WAYS: dict[str, tuple[Callable[[AuthUser, ApprovalRequest, Action], int], set[Action]]] = {
    "page": (through_page, set(Action)),
    "api": (through_api, set(Action)),
    "link": (through_link, {A.VIEW, A.DECIDE}),
    "bulk": (through_bulk, {A.DECIDE}),
}


@pytest.mark.parametrize(("role", "action"), CELLS)
def test_the_table_is_what_every_way_keeps_to(
    people: dict[str, AuthUser], request_: ApprovalRequest, role: str, action: Action
) -> None:
    request = prepared(request_, people, role, action)
    person = people[role]
    allowed = action in TRUTH[role]
    assert (action in actions_of(person, request)) == allowed
    for way, (go, actions) in WAYS.items():
        if action not in actions:
            continue
        before = ApprovalRequest.objects.get(pk=request.pk)
        # What was done one way must not stand in the way of the next.
        with transaction.atomic():
            status = go(person, before, action)
            after = ApprovalRequest.objects.get(pk=request.pk)
            transaction.set_rollback(True)
        was_done = status < 300 if action is A.VIEW else after.revision > before.revision
        assert was_done == allowed, f"{role} {action} through {way}: {status}"
        if not allowed and way in ("page", "api") and A.VIEW not in TRUTH[role] and person.is_active:
            assert status == 404, f"{role} {action} through {way}: {status}"


@pytest.mark.parametrize("role", TRUTH)
def test_a_closed_request_can_be_seen_and_talked_about_by_those_it_concerned(
    people: dict[str, AuthUser], request_: ApprovalRequest, role: str
) -> None:
    vote(request_, people["principal"])
    allowed = actions_of(people[role], ApprovalRequest.objects.get())
    assert set(allowed) == TRUTH[role] & LOOK


@pytest.mark.parametrize("role", TRUTH)
def test_the_lists_hold_what_somebody_may_decide(
    people: dict[str, AuthUser], request_: ApprovalRequest, role: str
) -> None:
    person = people[role]
    listed = [box for box in (Box.MINE, Box.GROUPS, Box.DELEGATED) if inbox(person, box).items]
    if role != "former":
        assert bool(listed) == (A.DECIDE in TRUTH[role]), listed
    view = request_for(person, request_.pk)
    assert (view is not None) == (A.VIEW in TRUTH[role])


def test_nobody_who_may_answer_plain_callbacks_steps_over_those_who_are_asked(
    people: dict[str, AuthUser], request_: ApprovalRequest
) -> None:
    approver = user("approver")
    approver.user_permissions.add(Permission.objects.get(codename="decide_callback"))
    client = Client()
    client.force_login(approver)
    where = reverse("approvals:callback-decide", args=[request_.execution_id, request_.operation_id])
    for data in (
        {"decision": "approve"},
        {"decision": "answer", "result": '{"outcome": "approved"}'},
        {"decision": "fail", "message": "x"},
    ):
        client.post(where, data)
    assert ApprovalRequest.objects.get().is_open
    assert ApprovalRequest.objects.get().revision == request_.revision


@pytest.mark.parametrize("group", ["finance"])
def test_a_superuser_who_is_in_the_group_is_asked_as_everybody_else(group: str) -> None:
    boss = user("boss", group, is_superuser=True)
    request = opened(assignees=[Group(group)])
    assert A.DECIDE in actions_of(boss, request)


def test_what_is_asked_by_permission_is_in_the_lists_of_those_who_have_it_and_of_who_stands_in_for_them(
    people: dict[str, AuthUser],
) -> None:
    holder, delegate = user("holder"), people["stranger"]
    holder.user_permissions.add(Permission.objects.get(codename="view_schedule"))
    start_delegation(actor=holder, to="stranger")
    request = opened(assignees=[Asked("durable_engine.view_schedule")])
    assert [row.id for row in inbox(holder, Box.GROUPS).items] == [request.pk]
    assert [row.id for row in inbox(delegate, Box.DELEGATED).items] == [request.pk]
    assert vote(request, delegate).vote.on_behalf_of_label == "holder"
