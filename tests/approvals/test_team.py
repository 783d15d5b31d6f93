"""What supervisors see: load, what is late, what nobody can decide."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from approvals.models import ApprovalRequest
from durable_engine import Duration
from tests.approvals.people import client_of, opened, page_of, user, vote
from tests.dashboard.corpus import HOSTILE, living_elements
from tests.html import words

pytestmark = pytest.mark.django_db
TEAM = "/approvals/team/"


@pytest.fixture
def boss() -> User:
    """Somebody who supervises."""
    return user("boss", rights=["supervise_approvalrequest"])


def test_it_says_who_is_asked_how_much_and_what_is_late(boss: User) -> None:
    ana = user("ana", "finance")
    opened(title="in time", due=Duration.from_days(9))
    late = opened(title="late", due=Duration.from_days(9))
    ApprovalRequest.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(hours=1))
    vote(opened(title="done"), ana)

    html = words(page_of(boss, TEAM))
    assert ">late<" in html
    assert ">in time<" not in html
    assert "finance <span" in html
    assert '<td class="cell-number" data-label="Open">2</td>' in html
    assert "<dt>Decided in 7 days</dt> <dd>1</dd>" in html


def test_what_nobody_can_decide_is_shown_with_the_reason_and_what_to_do(boss: User) -> None:
    user("ana", "finance")
    request = opened(title="stuck")
    ApprovalRequest.objects.filter(pk=request.pk).update(health="UNSATISFIABLE", health_reason="everybody left")

    html = words(page_of(boss, TEAM))
    for text in ("stuck", "Nobody can decide", "everybody left", f"/approvals/requests/{request.pk}/reassign/"):
        assert text in html, text


def test_every_open_request_can_be_found(boss: User) -> None:
    user("ana", "finance")
    opened(title="in time", due=Duration.from_days(9))

    assert "in time" in page_of(boss, f"{TEAM}open/")


@pytest.mark.parametrize("page", [TEAM, f"{TEAM}open/"])
def test_it_is_for_supervisors(page: str) -> None:
    assert client_of(user("ana", "finance")).get(page).status_code == 403


def test_the_number_of_queries_does_not_depend_on_the_number_of_requests(
    boss: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user("ana", "finance")
    opened(due=Duration.from_hours(1))
    client = client_of(boss)
    client.get(TEAM)
    with django_assert_num_queries(12):
        client.get(TEAM)
    for _ in range(8):
        opened(due=Duration.from_hours(1))
    with django_assert_num_queries(12):
        client.get(TEAM)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(boss: User, hostile: str) -> None:
    user("ana", hostile[:150], "finance")
    request = opened(title=hostile, due=Duration.from_hours(1))
    ApprovalRequest.objects.filter(pk=request.pk).update(health="UNSATISFIABLE", health_reason=hostile)
    assert living_elements(page_of(boss, TEAM)) == []
