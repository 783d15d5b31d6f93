import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from durable_engine.models import AuditEntry, Execution, Timer
from tests.seeds import Story, document_that_waits, order_that_succeeded, payment_in_back_off

ACTIONS = ("execution-stop", "execution-pause", "execution-resume")


def url(story: Story, name: str, *more: object) -> str:
    return reverse(f"dashboard:{name}", args=[story.id, *more])


def status(story: Story) -> str:
    return Execution.objects.get(pk=story.id).status


def revision(html: str) -> str:
    match = re.search(r'name="seen_revision" value="([^"]+)"', html)
    assert match is not None
    return match.group(1)


def test_stopping_ends_the_execution_and_says_who_and_why(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    response = log_in("Operator").post(url(story, "execution-stop"), {"reason": "ordered twice"}, follow=True)
    assert response.redirect_chain == [(url(story, "execution-detail"), 302)]
    assert "The execution was stopped." in response.content.decode()
    assert status(story) == "STOPPED"
    entry = AuditEntry.objects.get(execution_id=story.id)
    assert (entry.actor, entry.channel, entry.action, entry.reason) == (
        "operator",
        "dashboard",
        "stop_execution",
        "ordered twice",
    )


def test_pausing_and_resuming(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    client = log_in("Operator")
    assert client.post(url(story, "execution-pause"), {"reason": ""}).status_code == 302
    assert status(story) == "PAUSED"
    assert client.post(url(story, "execution-resume"), {"reason": ""}).status_code == 302
    assert status(story) != "PAUSED"
    assert list(AuditEntry.objects.order_by("at", "id").values_list("action", flat=True)) == [
        "pause_execution",
        "resume_execution",
    ]


def test_retry_now_makes_the_step_due(log_in: Callable[..., Client]) -> None:
    story = payment_in_back_off()
    before = Timer.objects.get(execution_id=story.id).due_at
    response = log_in("Operator").post(url(story, "operation-retry", "2"), {"reason": "gateway is back"})
    assert response["Location"] == f"{url(story, 'execution-steps')}?op=2"
    assert Timer.objects.get(execution_id=story.id).due_at < before
    assert AuditEntry.objects.get().operation_id == "2"


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("group", ["", "Viewer", "Approver", "Payload viewer"])
def test_only_operators_may_act(log_in: Callable[..., Client], name: str, group: str) -> None:
    story = document_that_waits()
    client = log_in(*filter(None, [group]))
    assert client.get(url(story, name)).status_code == 403
    assert client.post(url(story, name)).status_code == 403
    assert status(story) == "SUSPENDED"


@pytest.mark.parametrize("name", ACTIONS)
def test_anonymous_people_are_sent_to_the_login_page(client: Client, db: None, name: str) -> None:
    story = document_that_waits()
    assert client.post(url(story, name)).status_code == 302
    assert status(story) == "SUSPENDED"


def test_a_post_from_another_site_is_refused(db: None, log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    client = Client(enforce_csrf_checks=True)
    client.cookies = log_in("Operator").cookies
    response = client.post(url(story, "execution-stop"))
    assert response.status_code == 403
    assert "Nothing was changed" in response.content.decode()
    assert status(story) == "SUSPENDED"


@pytest.mark.parametrize("name", ACTIONS)
def test_asking_changes_nothing(log_in: Callable[..., Client], name: str) -> None:
    story = document_that_waits()
    assert log_in("Operator").get(url(story, name)).status_code == 200
    assert status(story) == "SUSPENDED"
    assert not AuditEntry.objects.exists()


def test_the_dialog_is_the_inside_of_the_page(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    response = log_in("Operator").get(url(story, "execution-stop"), headers={"X-Dialog": "1"})
    assert response["X-Dialog"] == "1"
    assert "<main" not in response.content.decode()
    assert "Stop execution" in response.content.decode()


def test_stopping_what_has_ended_is_refused_with_what_happened_and_keeps_the_reason(
    log_in: Callable[..., Client],
) -> None:
    story = order_that_succeeded()
    response = log_in("Operator").post(url(story, "execution-stop"), {"reason": "typed with care"})
    assert response.status_code == 409
    assert "SUCCEEDED" in response.content.decode()
    assert "typed with care" in response.content.decode()
    assert not AuditEntry.objects.exists()


def test_what_stood_still_and_moved_on_since_the_person_looked_is_not_stopped(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    client = log_in("Operator")
    seen = revision(client.get(url(story, "execution-stop")).content.decode())
    story.stand("RUNNING", signal=1)
    response = client.post(url(story, "execution-stop"), {"reason": "r", "seen_revision": seen})
    assert response.status_code == 409
    assert "changed since you looked" in response.content.decode()
    assert status(story) == "RUNNING"


def test_a_running_execution_can_be_stopped_however_far_it_has_come(log_in: Callable[..., Client]) -> None:
    story = Story()
    client = log_in("Operator")
    assert "seen_revision" not in client.get(url(story, "execution-stop")).content.decode()
    story.step("1", "charge", 1, 2)
    assert client.post(url(story, "execution-stop")).status_code == 302
    assert status(story) == "STOPPED"


def test_retrying_a_step_that_does_not_back_off_is_refused(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    response = log_in("Operator").post(url(story, "operation-retry", "1"))
    assert response.status_code == 409
    assert "waiting for a retry" in response.content.decode()


@pytest.mark.parametrize("reason", ["a\x00b", "x" * 3000])
def test_a_reason_that_cannot_be_kept_is_refused_with_the_field(log_in: Callable[..., Client], reason: str) -> None:
    story = document_that_waits()
    response = log_in("Operator").post(url(story, "execution-stop"), {"reason": reason})
    assert response.status_code == 422
    assert "reason" in response.content.decode()
    assert status(story) == "SUSPENDED"
