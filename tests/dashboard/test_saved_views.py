"""Views of the list that people keep, for themselves or for everybody."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.filters import ListFilters
from durable_engine.models import SavedView
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import words
from tests.seeds import order_that_failed

LogIn = Callable[..., Client]
LIST = "/executions/"
SAVE = "/executions/views/"
SETTINGS = "/settings/views/"


def keep(client: Client, name: str, query: str = "status=FAILED", **fields: str) -> SavedView:
    client.post(SAVE, {"name": name, "query": query} | fields)
    return SavedView.objects.get(name=name.strip())


def test_a_kept_view_leads_to_its_filters(log_in: LogIn) -> None:
    order_that_failed()
    client = log_in("Viewer")
    response = client.post(SAVE, {"name": "Failed today", "query": "since=24h&status=FAILED"})
    assert response["Location"] == f"{LIST}?status=FAILED&since=24h"
    html = client.get(response["Location"]).content.decode()
    assert f'href="{LIST}?status=FAILED&amp;since=24h"' in html
    assert "Failed today" in words(html)


def test_one_s_own_views_are_seen_by_nobody_else_and_shared_ones_by_everybody(log_in: LogIn) -> None:
    order_that_failed()
    owner, other = log_in("Viewer"), log_in("Operator")
    keep(owner, "mine alone")
    keep(owner, "ours", shared="1")
    html = other.get(LIST).content.decode()
    assert "ours" in html
    assert "mine alone" not in html


def test_a_view_of_the_same_name_is_replaced(log_in: LogIn) -> None:
    client = log_in("Viewer")
    keep(client, "v", "status=FAILED")
    assert keep(client, "v", "status=PAUSED").query == "status=PAUSED"


def test_people_delete_their_own_views_and_administrators_shared_ones(log_in: LogIn) -> None:
    owner = log_in("Viewer")
    own, shared, private = keep(owner, "own"), keep(owner, "shared", shared="1"), keep(owner, "private")
    delete = {view.name: reverse("dashboard:saved-view-delete", args=[view.pk]) for view in (own, shared, private)}
    assert log_in("Operator").post(delete["shared"]).status_code == 404
    administrator = log_in("Administrator")
    assert administrator.post(delete["shared"]).status_code == 302
    assert administrator.post(delete["private"]).status_code == 404
    assert owner.post(delete["own"]).status_code == 302
    assert list(SavedView.objects.values_list("name", flat=True)) == ["private"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b"])
def test_a_name_that_cannot_be_kept_is_refused_with_the_reason(log_in: LogIn, name: str) -> None:
    order_that_failed()
    response = log_in("Viewer").post(SAVE, {"name": name, "query": "status=FAILED"}, follow=True)
    assert "name" in response.content.decode()
    assert 'class="message tone-failed"' in response.content.decode()
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("query", ["status=NONSENSE&x=1", "%00", "cursor=abc&status=FAILED", "tag=novalue&since=x"])
def test_only_filters_that_the_list_understands_are_kept(log_in: LogIn, query: str) -> None:
    assert keep(log_in("Viewer"), "v", query).query in {"", "status=FAILED"}


def test_opening_the_address_changes_nothing_and_people_without_the_right_are_refused(log_in: LogIn) -> None:
    assert log_in("Viewer").get(SAVE).status_code == 405
    assert log_in().post(SAVE, {"name": "v"}).status_code == 403
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_stay_texts(log_in: LogIn, hostile: str) -> None:
    order_that_failed()
    client = log_in("Viewer")
    client.post(SAVE, {"name": hostile[:80], "query": ListFilters(function=hostile).query_string, "shared": "1"})
    assert SavedView.objects.exists()
    assert executable_parts(client.get(LIST).content.decode()) == []


def test_the_settings_list_one_s_views_with_what_they_filter(log_in: LogIn) -> None:
    client = log_in("Viewer")
    assert "No views are kept yet" in client.get(SETTINGS).content.decode()
    view = keep(client, "Failed trips", "status=FAILED&function=booking-saga", shared="1")
    html = words(client.get(SETTINGS).content.decode())
    assert "Status: Failed · Function: booking-saga" in html
    assert "for everybody" in html
    delete = reverse("dashboard:saved-view-delete", args=[view.pk])
    assert client.post(delete, {"in_settings": "1"})["Location"] == SETTINGS
    assert not SavedView.objects.exists()
