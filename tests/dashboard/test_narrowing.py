"""People who see only some executions: the others are not there, on no page, in no count, for no action and no key."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Q
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from durable_engine.models import BulkItem, Execution, Rollup
from durable_engine.queries.arns import execution_arn
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.api_keys import create_api_key
from tests.dashboard.every_url import World, routes
from tests.html import elements, words
from tests.seeds import Story, document_that_waits, group_of, order_that_failed, order_that_succeeded, person

LogIn = Callable[..., Client]
MINE = {"team": "red"}


def of_red_team(user: Any) -> Q:
    """The rule of these tests."""
    return Q(tags__contains=MINE)


@pytest.fixture(autouse=True)
def rule(settings: Settings) -> None:
    settings.DURABLE_VISIBLE_EXECUTIONS = f"{__name__}.of_red_team"


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return words(response.content.decode())


def test_whatever_names_an_execution_of_others_is_not_there(db: None) -> None:
    world = World()
    client = Client()
    client.force_login(person("somebody", "Administrator"))
    hidden = {"execution_id", "bulk_id", "group_id"}
    wrong = []
    for route in routes():
        is_of_executions = any(f":{name}>" in route.pattern for name in hidden) and "people/" not in route.pattern
        if route.is_page and is_of_executions:
            answers = [client.get(world.url(route)).status_code, client.post(world.url(route)).status_code]
            wrong += [] if set(answers) <= {404, 405} and 404 in answers else [(route.pattern, answers)]
    assert wrong == []
    assert not Execution.objects.filter(status="STOPPED").exists()


def test_lists_and_their_counts_hold_one_s_own(log_in: LogIn) -> None:
    mine = order_that_failed(name="mine", tags=MINE)
    order_that_failed(name="theirs"), order_that_succeeded(name="theirs-too")
    client = log_in("Payload viewer")
    html = text_of(client, "/executions/")
    assert "mine" in html
    assert "theirs" not in html
    counts = set(re.findall(r'class="count">\s*([\d,]+)', html))
    assert counts <= {"0", "1"}
    assert client.get(f"/executions/poll/?ids={mine.id.hex}&on_first_page=1").status_code == 200


def test_home_counts_one_s_own(log_in: LogIn) -> None:
    for tags in (MINE, {}, {}):
        Story(tags=tags).stand("PAUSED", pause_kind="crashes", paused_at=timezone.now())
    hour = timezone.now() - timedelta(hours=1)
    Rollup.objects.create(width_seconds=60, starts_at=hour, function="order-processing", version=1, started=4321)
    order_that_succeeded(tags=MINE, began=1800), order_that_succeeded(began=1800)
    client = log_in("Viewer")
    html = text_of(client, "/")
    assert "1 paused because their worker kept dying" in html
    assert "4,321" not in html
    numbers = text_of(client, "/metrics/?since=24h")
    assert "4,321" not in numbers
    assert "order-processing" in text_of(client, "/functions/")


def test_groups_of_failures_count_and_retry_one_s_own(log_in: LogIn) -> None:
    mine, theirs = order_that_failed(name="trip-mine", tags=MINE), order_that_failed(name="trip-theirs")
    group = group_of("booking-saga", mine, theirs, count=2)
    group_of("booking-saga", order_that_failed(name="trip-other"), error_type="OfOthers")
    client = log_in("Operator")
    html = text_of(client, "/failures/")
    assert "OfOthers" not in html
    html = text_of(client, f"/failures/{group.id}/")
    assert "trip-mine" in html
    assert "trip-theirs" not in html
    assert '<dd class="number">1</dd>' in html
    client.post(f"/failures/{group.id}/retry/")
    assert [item.name for item in BulkItem.objects.all()] == ["trip-mine"]


@pytest.mark.parametrize("scope", ["ticked", "matching"])
def test_bulk_actions_are_frozen_from_one_s_own(log_in: LogIn, scope: str) -> None:
    stories = [order_that_failed(name="mine", tags=MINE), order_that_failed(name="theirs")]
    client = log_in("Operator")
    client.post("/bulk/new/", {"action": "redrive", "scope": scope, "ids": [str(story.id) for story in stories]})
    assert [item.name for item in BulkItem.objects.all()] == ["mine"]
    assert "Redrive" in text_of(client, "/bulk/")
    other = Client()
    other.force_login(person("other", "Operator"))
    assert not elements(text_of(other, "/bulk/"), class_="row-link")


def test_callbacks_of_others_are_not_listed(log_in: LogIn) -> None:
    document_that_waits(name="mine", tags=MINE), document_that_waits(name="theirs")
    html = text_of(log_in("Approver"), "/approvals/callbacks/")
    assert "mine" in html
    assert "theirs" not in html


def test_a_comparison_does_not_reach_for_executions_of_others(log_in: LogIn) -> None:
    order_that_succeeded(name="theirs", function="booking-saga", began=7200)
    mine = order_that_failed(name="mine", tags=MINE)
    client = log_in("Payload viewer")
    assert "theirs" not in text_of(client, f"/executions/{mine.id}/compare/")
    assert client.get(f"/executions/{mine.id}/compare/?with=theirs").status_code == 404


def test_a_key_of_a_person_sees_what_the_person_sees(client: Client, db: None) -> None:
    theirs = order_that_failed(name="theirs")
    order_that_failed(name="mine", tags=MINE)
    person("somebody", "Operator")
    whose = {"somebody": 1, "": 2}
    for name, count in whose.items():
        scopes = ["read", "approve"] if name else ["read"]
        pair = create_api_key("bot", actor=PYTHON_CODE, scopes=scopes, acts_for=name)
        headers = {"Authorization": f"Bearer {pair.key.access_key_id}.{pair.secret}"}
        listed = client.get("/2025-12-01/functions/booking-saga/durable-executions", headers=headers).json()
        assert len(listed["DurableExecutions"]) == count
        arn = execution_arn("booking-saga", "theirs", theirs.id)
        status = client.get(f"/2025-12-01/durable-executions/{arn}", headers=headers).status_code
        assert status == (404 if name else 200)


def test_superusers_and_programs_see_everything(log_in: LogIn) -> None:
    order_that_failed(name="theirs")
    boss = person("boss")
    boss.is_superuser = True
    boss.save()
    client = Client()
    client.force_login(boss)
    assert "theirs" in text_of(client, "/executions/")
    assert Execution.objects.visible().count() == 1


# What is asked for by a part of an execution that the page has already found, or for programs.
UNNARROWED = {
    "filters.py": 1,  # whether a child is open: of an execution that is listed
    "limits.py": 1,  # who has a place: without a name for those who may not see it
    "relations.py": 1,  # what the history names
    "executions.py": 1,  # the outcome of one that was found
    "operations.py": 1,  # where one that was found is at work
    "search.py": 3,  # ids that narrow a list that is narrowed itself, and whether there are few of them
    "waiting.py": 1,  # the time of the database
    "bulk.py": 2,  # those that were frozen
    "replays.py": 1,  # for the command line
}


def test_every_query_for_pages_is_narrowed_or_known() -> None:
    found = {}
    for file in Path("durable_engine/queries").glob("*.py"):
        count = len(re.findall(r"\bExecution\.objects\.(?!visible\(\))", file.read_text()))
        if count:
            found[file.name] = count
    assert found == UNNARROWED
    for app in ("dashboard", "approvals/views", "approvals/rendering"):
        assert not [file for file in Path(app).rglob("*.py") if "Execution.objects" in file.read_text()]
