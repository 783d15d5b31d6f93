"""What time does: reminders, escalation, expiry; and requests whose execution went on without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group as AuthGroup

from approvals import After, Every, Group, User
from approvals.models import ApprovalEvent, ApprovalRequest, ApprovalTimer
from approvals.sdk.decision import Decision
from approvals.services.absences import start_absence, start_delegation
from approvals.services.exceptions import RequestExpired, RequestNotFound
from approvals.services.requests import ask_requester, claim_request, reassign_request, reply_to_question
from approvals.sweeps.reconcile import ask_again, check_satisfiable_again, reconcile
from approvals.virtual_time import VirtualClock
from durable_engine import Duration
from durable_engine.models import Callback, Event, Execution, OutboxMessage
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.callbacks import complete_callback_of
from durable_engine.services.copies import redrive_execution, rerun_execution
from durable_engine.services.executions import stop_execution
from tests.approvals.people import opened, user, vote
from tests.factories import make_callback, make_function

pytestmark = pytest.mark.django_db

DAYS = Duration.from_days


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    with VirtualClock() as clock:
        yield clock


def kinds(request: ApprovalRequest) -> list[str]:
    return list(ApprovalEvent.objects.filter(request=request).order_by("seq").values_list("kind", flat=True))


def mails(kind: str) -> list[str]:
    rows = OutboxMessage.objects.filter(channel="email", payload__kind=kind).order_by("recipient")
    return [row.recipient.partition("@")[0] for row in rows]


def result(request: ApprovalRequest) -> Decision:
    event = Event.objects.filter(execution_id=request.execution_id).order_by("-event_id")[0]
    assert event.event_type == "CallbackSucceeded"
    return Decision.from_text(event.payload)


def test_reminders_come_at_their_times_and_stop_with_the_decision(clock: VirtualClock) -> None:
    ana = user("ana", "finance")
    request = opened(remind=[After(hours=24), Every(hours=12, max=3)])
    clock.advance(hours=30)
    assert kinds(request) == ["OPENED", "REMINDED"]
    clock.advance(hours=10)
    assert kinds(request).count("REMINDED") == 2
    vote(request, ana)
    clock.advance(days=10)
    assert kinds(request).count("REMINDED") == 2
    assert not ApprovalTimer.objects.exists()


def test_only_those_who_have_not_answered_are_reminded(clock: VirtualClock) -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request = opened(quorum=2, remind=[After(hours=1)])
    vote(request, ana)
    clock.advance(hours=2)
    assert mails("reminder") == ["ben"]


def test_an_overdue_request_says_so_once(clock: VirtualClock) -> None:
    user("ana", "finance")
    user("rae")
    request = opened(due=DAYS(1), requester="rae")
    clock.advance(days=5)
    assert kinds(request) == ["OPENED", "OVERDUE"]
    assert mails("overdue") == ["ana", "rae"]


def test_an_escalation_adds_tells_and_replaces_people_in_turn(clock: VirtualClock) -> None:
    ana, ben, cfo = user("ana", "finance"), user("ben", "directors"), user("cfo")
    lead = user("lead")
    steps = [
        After(days=1).notify(User("lead")),
        After(days=2).add(Group("directors")),
        After(days=4).replace(User("cfo")),
    ]
    request, other = opened(escalate=steps), opened(escalate=steps)
    with pytest.raises(RequestNotFound):
        vote(request, lead)
    clock.advance(days=1.5)
    with pytest.raises(Exception, match="not among the people"):
        vote(request, lead)
    with pytest.raises(RequestNotFound):
        vote(request, ben)
    clock.advance(days=1)
    assert vote(request, ben).is_final
    clock.advance(days=2)
    with pytest.raises(RequestNotFound):
        vote(other, ana)
    assert vote(other, cfo).request.escalation_level == 3
    assert mails("escalated") == ["ben", "ben", "cfo", "lead", "lead"]


def test_an_escalation_to_somebody_who_is_gone_is_seen_and_the_request_goes_on(clock: VirtualClock) -> None:
    ana = user("ana", "finance")
    request = opened(escalate=[After(days=1).add(User("gone"))])
    clock.advance(days=2)
    event = ApprovalEvent.objects.get(request=request, kind="ESCALATED")
    assert "no user named 'gone'" in event.data["problem"]
    assert vote(request, ana).is_final


@pytest.mark.parametrize(
    ("on_expire", "expected"),
    [
        ("raise", ("expired", None)),
        ("reject", ("rejected", None)),
        ("approve", ("approved", None)),
        ({"limit": 5}, ("answered", {"limit": 5})),
    ],
)
def test_when_nobody_decides_the_policy_does(clock: VirtualClock, on_expire: Any, expected: tuple[str, Any]) -> None:
    ana = user("ana", "finance")
    request = opened(expires=DAYS(7), on_expire=on_expire)
    clock.advance(days=8)
    decision = result(request)
    assert ((decision.outcome, decision.value), decision.is_expired, decision.by) == (expected, True, "")
    assert ApprovalRequest.objects.get().state == "EXPIRED"
    with pytest.raises(RequestExpired):
        vote(request, ana)


def test_an_answer_after_the_end_is_refused_before_any_sweep_has_come(clock: VirtualClock) -> None:
    ana = user("ana", "finance")
    request = opened(expires=DAYS(1))
    ApprovalTimer.objects.all().delete()
    clock.advance(days=2)
    with pytest.raises(RequestExpired):
        vote(request, ana)
    assert ApprovalRequest.objects.get().is_open


def test_the_clocks_stand_still_while_a_question_is_open(clock: VirtualClock) -> None:
    ana, rae = user("ana", "finance"), user("rae")
    request = opened(requester="rae", expires=DAYS(3), remind=[After(days=2)])
    clock.advance(days=1)
    ask_requester(request.pk, actor=ana, text="Which order?")
    clock.advance(days=30)
    assert kinds(request) == ["OPENED", "ASKED"]
    reply_to_question(request.pk, actor=rae, text="Number 7.")
    clock.advance(days=1.5)
    assert kinds(request) == ["OPENED", "ASKED", "REPLIED", "REMINDED"]
    clock.advance(days=1)
    assert ApprovalRequest.objects.get().state == "EXPIRED"


def test_a_claim_that_is_not_used_ends(clock: VirtualClock) -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened()
    claim_request(request.pk, actor=ana)
    clock.advance(hours=5)
    assert kinds(request) == ["OPENED", "CLAIMED", "RELEASED"]
    assert vote(request, ben).is_final


def test_delegations_and_absences_begin_and_end_by_themselves(clock: VirtualClock) -> None:
    ana, ben, cem = user("ana", "finance"), user("ben"), user("cem")
    start_delegation(actor=ana, to="ben", ends_at=clock.now() + timedelta(days=2))
    start_absence(
        actor=ana, starts_at=clock.now() + timedelta(days=1), ends_at=clock.now() + timedelta(days=3), substitute="cem"
    )
    first, second, third = opened(), opened(), opened()
    with pytest.raises(RequestNotFound):
        vote(first, cem)
    assert vote(first, ben).is_final
    clock.advance(days=2.5)
    with pytest.raises(RequestNotFound):
        vote(second, ben)
    assert vote(second, cem).vote.on_behalf_of_label == "ana"
    clock.advance(days=1)
    with pytest.raises(RequestNotFound):
        vote(third, cem)


def test_a_request_of_an_execution_that_was_stopped_is_closed() -> None:
    user("ana", "finance")
    request = opened()
    assert reconcile() == 0
    stop_execution(request.execution_id, actor=PYTHON_CODE)
    assert reconcile() == 1
    row = ApprovalRequest.objects.get()
    assert (row.state, row.close_reason) == ("CANCELLED", "The execution has ended: stopped.")


def test_each_look_goes_on_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    user("ana", "finance")
    monkeypatch.setattr("approvals.sweeps.reconcile.LOOKED_AT", 2)
    requests = [opened(due=DAYS(day)) for day in (1, 1, 2, 3, 4)]
    for request in requests[3:]:
        stop_execution(request.execution_id, actor=PYTHON_CODE)
    assert [reconcile() for _ in range(4)] == [0, 1, 1, 0]
    assert ApprovalRequest.objects.filter(state="CANCELLED").count() == 2


def test_a_request_whose_callback_was_completed_by_other_means_says_by_whom() -> None:
    user("ana", "finance")
    request = opened()
    complete_callback_of(request.execution_id, request.operation_id, actor=PYTHON_CODE, succeed="1")
    reconcile()
    assert ApprovalRequest.objects.get().close_reason == (
        "The callback was completed by python code outside of approvals."
    )


def test_the_engine_s_own_timeout_ends_the_request_with_its_policy() -> None:
    user("ana", "finance")
    opened(expires=DAYS(7), on_expire="reject")
    Callback.objects.update(status="TIMED_OUT")
    reconcile()
    row = ApprovalRequest.objects.get()
    assert (row.state, row.outcome) == ("EXPIRED", "rejected")


def test_an_expiry_of_an_execution_that_has_ended_closes_the_request(clock: VirtualClock) -> None:
    user("ana", "finance")
    request = opened(expires=DAYS(1))
    stop_execution(request.execution_id, actor=PYTHON_CODE)
    clock.advance(days=2)
    assert ApprovalRequest.objects.get().state == "CANCELLED"


def test_when_a_group_is_emptied_the_request_is_shown_as_undecidable_until_somebody_joins() -> None:
    user("ana", "finance")
    request = opened()
    AuthGroup.objects.get(name="finance").user_set.clear()
    ApprovalRequest.objects.update(checked_at="2020-01-01T00:00Z")
    check_satisfiable_again()
    assert ApprovalRequest.objects.get().health == "UNSATISFIABLE"
    user("ben", "finance")
    ApprovalRequest.objects.update(checked_at="2020-01-01T00:00Z")
    check_satisfiable_again()
    assert ApprovalRequest.objects.get().health == "OK"
    assert kinds(request) == ["OPENED", "HEALTH", "HEALTH"]


def test_a_timer_that_fails_is_put_off_and_holds_up_no_other(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    user("ana", "finance")
    broken = opened(remind=[After(hours=1)], escalate=[After(minutes=30).add(User("ana"))])
    fine = opened(remind=[After(hours=1)])
    ApprovalTimer.objects.filter(request=broken, kind="escalate").update(payload={})
    clock.advance(hours=2)
    assert kinds(fine) == ["OPENED", "REMINDED"]
    assert kinds(broken) == ["OPENED", "REMINDED"]
    assert "tried again in a minute" in caplog.text
    assert Execution.objects.filter(status="SUSPENDED").count() == 2


def test_what_happened_is_told_in_the_history_in_json_that_a_program_can_read() -> None:
    ana = user("ana", "finance")
    request = opened()
    vote(request, ana, comment="fine")
    voted = ApprovalEvent.objects.get(request=request, kind="VOTED")
    assert json.loads(json.dumps(voted.data))["digest"] == request.digest


def test_an_execution_that_goes_on_from_another_asks_its_people_again() -> None:
    ana = user("ana", "finance")
    make_function("orders")
    request = opened(requester="rae", form={"properties": {"amount": {"type": "number"}}}, expires=DAYS(3))
    stop_execution(request.execution_id, actor=PYTHON_CODE)
    reconcile()
    redriven = redrive_execution(request.execution_id, actor=PYTHON_CODE)
    assert ask_again() == 1
    assert ask_again() == 0
    again = ApprovalRequest.objects.get(execution_id=redriven.id)
    assert (again.digest, again.requester_label, again.is_open) == (request.digest, "rae", True)
    assert ApprovalEvent.objects.get(request=again, kind="OPENED").data["copied_from"] == str(request.pk)
    vote(again, ana, data={"amount": 5})
    assert result(again).data == {"amount": 5.0}


def test_what_a_new_callback_asks_is_left_to_its_own_handler() -> None:
    """Of an execution that came of another one: the request of that one has another subject, and was not copied."""
    user("ana", "finance")
    make_function("orders")
    request = opened(title="Refund 120 EUR")
    stop_execution(request.execution_id, actor=PYTHON_CODE)
    rerun = rerun_execution(request.execution_id, actor=PYTHON_CODE, input_text='{"amount": 9000}')
    make_callback(Execution.objects.get(pk=rerun.id), "1-1", parent_id="1")
    assert ask_again() == 0
    asked = opened(execution=Execution.objects.get(pk=rerun.id), title="Refund 9000 EUR")
    assert asked.title == "Refund 9000 EUR"


def test_one_that_goes_on_twice_before_anybody_looks_asks_its_people_again() -> None:
    user("ana", "finance")
    make_function("orders")
    request = opened()
    stop_execution(request.execution_id, actor=PYTHON_CODE)
    redriven = redrive_execution(request.execution_id, actor=PYTHON_CODE)
    stop_execution(redriven.id, actor=PYTHON_CODE)
    last = redrive_execution(redriven.id, actor=PYTHON_CODE)
    assert ask_again() == 1
    assert ask_again() == 0
    assert ApprovalRequest.objects.get(execution_id=last.id).digest == request.digest
    assert not ApprovalRequest.objects.filter(execution_id=redriven.id).exists()


def test_one_whose_people_are_gone_is_asked_again_all_the_same_and_shown() -> None:
    ana = user("ana")
    ben = user("ben")
    make_function("orders")
    request = opened(assignees=[User("ana")])
    stop_execution(request.execution_id, actor=PYTHON_CODE)
    ana.is_active = False
    ana.save()
    redriven = redrive_execution(request.execution_id, actor=PYTHON_CODE)
    ask_again()
    again = ApprovalRequest.objects.get(execution_id=redriven.id)
    assert again.health == "UNSATISFIABLE"
    assert "not active" in again.health_reason
    chief = user("chief", rights=["supervise_approvalrequest"])
    reassign_request(again.pk, actor=chief, to=[User("ben")], reason="ana left")
    assert vote(again, ben).is_final
