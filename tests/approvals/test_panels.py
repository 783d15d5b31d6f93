"""What the dashboard shows of approvals."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.template import Context, Template
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from approvals.models import ApprovalRequest
from approvals.services.requests import ask_requester
from durable_engine import Duration
from tests.approvals.people import client_of, opened, user, vote, waiting_execution
from tests.dashboard.corpus import HOSTILE, living_elements
from tests.html import words
from tests.seeds import order_that_succeeded, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> User:
    """Somebody who looks at executions and takes no part in approvals."""
    return person("viewer", "Viewer")


def execution_page(request: ApprovalRequest, who: User) -> str:
    html = client_of(who).get(reverse("dashboard:execution-detail", args=[request.execution_id])).content.decode()
    return words(html)


def test_the_execution_page_says_who_is_awaited_since_when_and_how_many_agreed(viewer: User) -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request = opened(title="Refund 120 EUR", quorum=2, due=Duration.from_hours(5))
    vote(request, ana)

    html = execution_page(request, viewer)
    assert "manager: waiting for finance since" in html
    assert "1 of 2 agreed" in html
    assert "due <time" in html
    # Whoever the request does not exist for learns that it waits, not what it says.
    assert "Refund 120 EUR" not in html
    viewer.groups.add(Group.objects.get(name="finance"))
    html = execution_page(request, viewer)
    assert f'href="/approvals/requests/{request.pk}/">Refund 120 EUR' in html


def test_it_says_who_decided_and_whom_a_question_waits_for(viewer: User) -> None:
    ana, sam = user("ana", "finance"), user("sam")
    execution = waiting_execution()
    done = opened(execution=execution, name="manager")
    vote(done, ana)
    asked = opened(execution=execution, operation_id="2-1", name="director", requester="sam")
    ask_requester(asked.pk, actor=ana, text="Why?")

    html = execution_page(done, viewer)
    assert "manager: by ana" in html
    assert f"director: waiting for {sam.username} since" in html


def test_an_execution_without_approvals_says_nothing_of_them(
    viewer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    template = Template("{% load approvals_tags %}{% approvals_of_execution execution %}")
    context = Context({"user": viewer, "execution": waiting_execution().pk})
    with django_assert_num_queries(1):
        assert "Approvals" not in template.render(context)


def test_the_number_of_queries_does_not_depend_on_the_number_of_approvals(
    viewer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user("ana", "finance")
    execution = waiting_execution()
    template = Template("{% load approvals_tags %}{% approvals_of_execution execution %}")
    for count in (1, 12):
        for number in range(count):
            opened(execution=execution, operation_id=f"{count}-{number}")
        context = Context({"user": User.objects.get(pk=viewer.pk), "execution": execution.pk})
        with django_assert_num_queries(10):
            html = template.render(context)
    assert "and 3 more" in html


def test_home_shows_what_waits_for_the_reader_and_nobody_else(viewer: User) -> None:
    user("ana", "finance")
    opened(title="Refund 120 EUR")

    assert "Nothing waits for you." in words(client_of(viewer).get("/").content.decode())
    viewer.groups.add(Group.objects.get(name="finance"))
    for _ in range(6):
        opened(title="Refund 120 EUR")
    html = words(client_of(viewer).get("/").content.decode())
    assert html.count(">Refund 120 EUR<") == 5
    assert ">2 more<" in html


def test_home_tells_supervisors_what_nobody_can_decide(viewer: User) -> None:
    user("ana", "finance")
    ApprovalRequest.objects.filter(pk=opened().pk).update(health="UNSATISFIABLE", health_reason="everybody left")

    assert "can't go on" not in client_of(viewer).get("/").content.decode()
    viewer.user_permissions.add(Permission.objects.get(codename="supervise_approvalrequest"))
    assert "1 open request can't go on" in client_of(viewer).get("/").content.decode()


def test_the_figures_are_for_people_who_may_see_every_request(viewer: User) -> None:
    user("ana", "finance")
    opened()
    template = Template("{% load approvals_tags %}{% approvals_figures %}")
    assert "Time to a decision" not in template.render(Context({"user": viewer}))
    boss = user("boss", rights=["view_approvalrequest"])
    assert "<dt>Open</dt> <dd>1</dd>" in words(template.render(Context({"user": boss})))


def test_metrics_show_them_for_the_time_and_the_function_that_is_looked_at(viewer: User) -> None:
    ana = user("ana", "finance")
    vote(opened(), ana)
    order_that_succeeded()
    viewer.user_permissions.add(Permission.objects.get(codename="view_approvalrequest"))

    page = reverse("dashboard:metrics")
    html = words(client_of(viewer).get(page).content.decode())
    assert "<dt>Decided</dt> <dd>1</dd>" in html
    html = words(client_of(viewer).get(page, {"function": "order-processing"}).content.decode())
    assert "<dt>Decided</dt> <dd>0</dd>" in html


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(viewer: User, hostile: str) -> None:
    user("ana", hostile[:150], "finance")
    request = opened(title=hostile, name="n")
    viewer.groups.add(Group.objects.get(name="finance"))
    assert living_elements(execution_page(request, viewer)) == []
    assert living_elements(client_of(viewer).get("/").content.decode()) == []
