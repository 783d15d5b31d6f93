"""Anything anybody may do, in any order: one end, one completion, nobody excluded in it, and the history tells it all.

APPROVAL_SEQUENCES sets how many sequences are tried; 2,000 before a release.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group as AuthGroup
from django.contrib.auth.models import User as AuthUser
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from approvals import After, Group, Quorum, User
from approvals.models import ApprovalEvent, ApprovalRequest, ApprovalTimer, Candidate, Vote
from approvals.queries.eligibility import actions_of
from approvals.rules import Action
from approvals.services.absences import start_delegation
from approvals.services.decisions import break_glass, decide
from approvals.services.requests import (
    ask_requester,
    claim_request,
    comment_on_request,
    delegate_request,
    extend_request,
    reassign_request,
    release_request,
    reply_to_question,
    withdraw_request,
)
from approvals.sweeps.reconcile import check_satisfiable_again, reconcile
from approvals.sweeps.timers import tick
from approvals.virtual_time import VirtualClock
from durable_engine import Duration
from durable_engine.models import Callback, Event
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.exceptions import ActionRefused, DurableServiceError
from durable_engine.services.executions import stop_execution
from tests.approvals.people import opened, user

SEQUENCES = int(os.environ.get("APPROVAL_SEQUENCES", "15"))
NAMES = ("ana", "ben", "cem", "dia", "rae", "chief", "eve")
TERMINAL = {"DECIDED", "EXPIRED", "WITHDRAWN", "CANCELLED"}
QUORUMS: Sequence[Any] = (1, 2, "all", "60%", {"finance": 1, "legal": 1}, Quorum(approve=2, reject=None))


class Approving(RuleBasedStateMachine):
    """One request, and people who do whatever comes to their mind."""

    @initialize(
        quorum=st.sampled_from(QUORUMS),
        separate=st.booleans(),
        on_expire=st.sampled_from(["raise", "reject", "approve", {"limit": 1}]),
    )
    def open(self, quorum: Any, separate: bool, on_expire: Any) -> None:
        """Open a request with reminders, an escalation and an end."""
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.clock = VirtualClock().__enter__()
        self.people = {
            "ana": user("ana", "finance"),
            "ben": user("ben", "finance", "legal"),
            "cem": user("cem", "legal"),
            "dia": user("dia"),
            "rae": user("rae", "finance"),
            "chief": user("chief", rights=["supervise_approvalrequest", "break_glass", "view_approvalrequest"]),
            "eve": user("eve"),
        }
        self.request = opened(
            quorum=quorum,
            separate=separate,
            on_expire=on_expire,
            requester="rae",
            assignees=[Group("finance"), Group("legal")],
            due=Duration.from_days(1),
            expires=Duration.from_days(5),
            remind=[After(hours=12)],
            escalate=[After(days=2).add(User("dia")), After(days=3).replace(User("dia"), User("ana"))],
        )
        self.sent: list[tuple[str, str, str]] = []
        self.was_excluded: set[int] = set()

    def teardown(self) -> None:
        """Forget everything."""
        if hasattr(self, "atomic"):
            self.clock.__exit__(None, None, None)
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    def attempt(self, action: Action | None, who: str, function: Any) -> None:
        """Let somebody try something: it works if and only if the table says that it may."""
        actor = AuthUser.objects.get(username=who)
        allowed = actions_of(actor, ApprovalRequest.objects.get(pk=self.request.pk))
        before = ApprovalRequest.objects.get(pk=self.request.pk).revision
        try:
            with transaction.atomic():
                function(actor)
        except DurableServiceError:
            assert ApprovalRequest.objects.get(pk=self.request.pk).revision == before
        else:
            assert action is None or action in allowed, f"{who} did {action} and was not allowed to"

    @rule(who=st.sampled_from(NAMES), choice=st.sampled_from(["approve", "approve", "reject"]))
    def vote(self, who: str, choice: str) -> None:
        """Somebody answers."""
        operation_id = uuid4().hex

        def act(actor: AuthUser) -> None:
            decide(self.request.pk, actor=actor, choice=choice, operation_id=operation_id, digest=self.request.digest)
            self.sent.append((who, choice, operation_id))

        self.attempt(Action.DECIDE, who, act)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Somebody clicks again: the same result, and nothing new."""
        who, choice, operation_id = data.draw(st.sampled_from(self.sent))
        before = Vote.objects.count()
        actor = AuthUser.objects.get(username=who)
        decided = decide(
            self.request.pk, actor=actor, choice=choice, operation_id=operation_id, digest=self.request.digest
        )
        assert decided.is_repeat
        assert Vote.objects.count() == before

    @rule(who=st.sampled_from(NAMES))
    def claim(self, who: str) -> None:
        """Somebody takes it."""
        self.attempt(None, who, lambda actor: claim_request(self.request.pk, actor=actor))

    @rule(who=st.sampled_from(NAMES))
    def release(self, who: str) -> None:
        """Somebody gives it back."""
        self.attempt(Action.RELEASE, who, lambda actor: release_request(self.request.pk, actor=actor))

    @rule(who=st.sampled_from(NAMES), to=st.sampled_from(NAMES))
    def delegate(self, who: str, to: str) -> None:
        """Somebody sends it on."""
        self.attempt(Action.DELEGATE, who, lambda actor: delegate_request(self.request.pk, actor=actor, to=to))

    @rule(who=st.sampled_from(["ana", "ben", "rae"]), to=st.sampled_from(NAMES))
    def stand_in(self, who: str, to: str) -> None:
        """Somebody lets a colleague answer for them."""
        self.attempt(None, who, lambda actor: start_delegation(actor=actor, to=to))

    @rule(who=st.sampled_from(NAMES))
    def ask(self, who: str) -> None:
        """Somebody asks the requester."""
        self.attempt(Action.ASK, who, lambda actor: ask_requester(self.request.pk, actor=actor, text="Why?"))

    @rule(who=st.sampled_from(["rae", "chief", "ana"]))
    def reply(self, who: str) -> None:
        """Somebody replies."""
        self.attempt(Action.REPLY, who, lambda actor: reply_to_question(self.request.pk, actor=actor, text="So."))

    @rule(who=st.sampled_from(NAMES))
    def comment(self, who: str) -> None:
        """Somebody comments."""
        self.attempt(Action.COMMENT, who, lambda actor: comment_on_request(self.request.pk, actor=actor, text="Hm."))

    @rule(who=st.sampled_from(["chief", "ana"]), to=st.sampled_from(NAMES), replace=st.booleans())
    def reassign(self, who: str, to: str, replace: bool) -> None:
        """Somebody asks others."""
        self.attempt(
            Action.REASSIGN,
            who,
            lambda actor: reassign_request(self.request.pk, actor=actor, to=[User(to)], reason="r", replace=replace),
        )

    @rule(who=st.sampled_from(["chief", "ana"]), days=st.integers(1, 10))
    def extend(self, who: str, days: int) -> None:
        """Somebody gives more time."""
        until = self.clock.now() + timedelta(days=days)
        self.attempt(
            Action.EXTEND,
            who,
            lambda actor: extend_request(self.request.pk, actor=actor, expires_at=until, reason="holiday"),
        )

    @rule(who=st.sampled_from(["rae", "chief", "ana"]))
    def withdraw(self, who: str) -> None:
        """Somebody takes it back."""
        self.attempt(
            Action.WITHDRAW, who, lambda actor: withdraw_request(self.request.pk, actor=actor, reason="never mind")
        )

    @rule(who=st.sampled_from(["chief", "ana", "rae"]))
    def alone(self, who: str) -> None:
        """Somebody decides alone."""
        self.attempt(
            Action.BREAK_GLASS,
            who,
            lambda actor: break_glass(
                self.request.pk,
                actor=actor,
                choice="approve",
                reason="fire",
                operation_id=uuid4().hex,
                digest=self.request.digest,
            ),
        )

    @rule(hours=st.sampled_from([1, 13, 25, 50]))
    def wait(self, hours: int) -> None:
        """Time passes, and the sweeps come."""
        self.clock.advance(hours=hours)
        ApprovalRequest.objects.update(checked_at=self.clock.now() - timedelta(days=1))
        check_satisfiable_again()
        tick()

    @rule(who=st.sampled_from(["ana", "ben", "cem"]), group=st.sampled_from(["finance", "legal"]), stays=st.booleans())
    def move(self, who: str, group: str, stays: bool) -> None:
        """Somebody joins or leaves a group."""
        members = AuthGroup.objects.get(name=group).user_set
        (members.add if stays else members.remove)(self.people[who])

    @rule(who=st.sampled_from(["ana", "ben", "dia"]), is_active=st.booleans())
    def leave(self, who: str, is_active: bool) -> None:
        """Somebody leaves the company, or comes back."""
        AuthUser.objects.filter(username=who).update(is_active=is_active)

    @rule()
    def stop(self) -> None:
        """An operator stops the execution, one time in many."""
        if len(self.sent) % 3 != 2:
            return
        try:
            stop_execution(self.request.execution_id, actor=PYTHON_CODE)
        except ActionRefused:
            return
        reconcile()

    @invariant()
    def one_end_and_one_completion(self) -> None:
        """A closed request has one end in its history and its callback one outcome; an open one has neither."""
        if not hasattr(self, "request"):
            return
        row = ApprovalRequest.objects.get(pk=self.request.pk)
        ends = ApprovalEvent.objects.filter(request=row, kind__in=TERMINAL).count()
        outcomes = Event.objects.filter(
            execution_id=row.execution_id, event_type__in=["CallbackSucceeded", "CallbackFailed"]
        ).count()
        waits = Callback.objects.get(pk=row.callback_key).status == "STARTED"
        assert ends == (0 if row.is_open else 1)
        assert waits == row.is_open
        assert outcomes == (0 if row.is_open or (row.state == "CANCELLED" and not _withdrawn(row)) else 1)
        if not row.is_open:
            assert not ApprovalTimer.objects.filter(request=row).exists()
            assert not Candidate.objects.filter(request=row, is_open=True).exists()

    @invariant()
    def nobody_counts_who_may_not(self) -> None:
        """Neither the requester nor anybody for them is among the answers, and nobody is there twice."""
        if not hasattr(self, "request"):
            return
        votes = list(Vote.objects.filter(request=self.request.pk))
        barred = set(self.request.excluded_ids)
        assert not barred & {each for vote in votes for each in (vote.voter_id, vote.seat_id)}
        assert len({vote.voter_id for vote in votes}) == len(votes) == len({vote.seat_id for vote in votes})

    @invariant()
    def the_history_gives_the_row(self) -> None:
        """Whoever reads the history from the beginning arrives at the row as it is."""
        if not hasattr(self, "request"):
            return
        row = ApprovalRequest.objects.get(pk=self.request.pk)
        events = list(ApprovalEvent.objects.filter(request=row).order_by("seq"))
        assert [event.seq for event in events] == list(range(1, row.revision + 1))
        assert _fold(events) == {
            "state": row.state,
            "outcome": "" if row.state == "CANCELLED" else row.outcome,
            "holder": row.claimed_by_id,
            "level": row.escalation_level,
            "asked": row.asked_at is not None,
            "health": row.health if row.is_open else None,
            "seats": {vote.seat_id for vote in Vote.objects.filter(request=row)} - _alone(events),
        }


def _fold(events: list[ApprovalEvent]) -> dict[str, Any]:
    found: dict[str, Any] = {"state": "", "outcome": "", "holder": None, "level": 0, "asked": False, "health": "OK"}
    found["seats"] = set()
    for event in events:
        found["state"] = event.data.get("state", found["state"])
        match event.kind:
            case "CLAIMED":
                found["holder"] = event.actor_id
            case "RELEASED":
                found["holder"] = None
            case "ESCALATED":
                found["level"] = event.data["level"]
            case "ASKED" | "REPLIED":
                found["asked"] = event.kind == "ASKED"
            case "HEALTH":
                found["health"] = event.data["health"]
            case "VOTED":
                found["seats"].add(event.data["seat_id"])
                # Whoever answers no longer holds it.
                found["holder"] = None if found["holder"] == event.actor_id else found["holder"]
        if event.kind in TERMINAL:
            found |= {"outcome": event.data.get("outcome", ""), "holder": None, "asked": False, "health": None}
    return found


def _alone(events: list[ApprovalEvent]) -> set[int | None]:
    voted = {event.data["seat_id"] for event in events if event.kind == "VOTED"}
    return {event.actor_id for event in events if event.kind == "BROKE_GLASS"} - voted


def _withdrawn(row: ApprovalRequest) -> bool:
    return ApprovalEvent.objects.filter(request=row, kind="WITHDRAWN").exists()


@pytest.mark.django_db
@pytest.mark.timeout(3600)
def test_whatever_people_do_the_invariants_hold() -> None:

    run_state_machine_as_test(
        Approving,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
