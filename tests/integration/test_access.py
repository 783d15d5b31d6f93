"""Who may open what: every view declares it, and what is not declared is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group, Permission
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, include, path
from django.views.decorators.http import require_POST
from pytest_django import Settings

from durable_engine.access import is_declared, public, require_permission, signed_in
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def answer(request: HttpRequest) -> HttpResponse:
    return HttpResponse("inside")


urlpatterns = [
    path("login/", public(answer), name="login"),
    path("open/", public(answer)),
    path("mine/", signed_in(answer)),
    path("guarded/", require_permission("durable_engine.stop_execution")(answer)),
    path("change/", require_permission("durable_engine.stop_execution")(require_POST(answer))),
    path("outer/", require_POST(require_permission("durable_engine.stop_execution")(answer))),
    path("forgotten/", answer),
    # The page that says 403 has links to the others.
    path("", include("durable_engine.config.urls")),
]


@pytest.fixture
def urls(settings: Settings) -> None:
    """The pages above instead of the product's."""
    settings.ROOT_URLCONF = __name__


def all_patterns(
    patterns: list[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, Callable[..., object]]]:
    for pattern in patterns:
        where = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from all_patterns(pattern.url_patterns, where)
        elif pattern.callback is not None:
            yield where, pattern.callback


def test_every_view_of_the_project_declares_who_may_open_it() -> None:
    views = dict(all_patterns(get_resolver().url_patterns))
    undeclared = [where for where, view in views.items() if not is_declared(view)]
    assert undeclared == []
    assert {"login/", "healthz"} <= views.keys()


def test_every_declared_permission_exists() -> None:
    asked = {getattr(view, "required_permission", None) for _, view in all_patterns(get_resolver().url_patterns)}
    wanted = asked - {None, ""}  # public, and for everybody who is logged in
    existing = {f"{app}.{code}" for app, code in Permission.objects.values_list("content_type__app_label", "codename")}
    assert wanted <= existing


def test_only_these_pages_are_open_to_everybody() -> None:
    views = all_patterns(get_resolver().url_patterns)
    assert {where for where, view in views if getattr(view, "required_permission", "") is None} == {
        "healthz",
        "favicon.ico",
        "login/",
        "logout/",
        # The description of the product's own API, for tools.
        "api/v1/openapi.json",
        # Links in mails: each leads to one request, for one person.
        "approvals/link/<str:token>/",
        "approvals/confirm/<uuid:request_id>/",
    }


@pytest.mark.usefixtures("urls")
class TestPages:
    def test_a_public_page_opens_for_everybody(self, client: Client) -> None:
        assert client.get("/open/").content == b"inside"

    def test_a_page_of_one_s_own_opens_for_whoever_is_logged_in(self, client: Client) -> None:
        assert client.get("/mine/")["Location"] == "/login/?next=/mine/"
        client.force_login(make_user())
        assert client.get("/mine/").content == b"inside"

    def test_somebody_with_the_right_gets_in(self, client: Client) -> None:
        client.force_login(make_user(permissions=["stop_execution"]))
        assert client.get("/guarded/").content == b"inside"
        assert client.post("/change/").content == b"inside"
        assert client.post("/outer/").content == b"inside"

    def test_somebody_without_it_is_refused_and_told_what_is_missing(self, client: Client) -> None:
        client.force_login(make_user(permissions=["view_execution"]))
        response = client.get("/guarded/")
        assert response.status_code == 403
        assert "durable_engine.stop_execution" in response.content.decode()
        assert client.post("/change/").status_code == 403

    def test_an_account_that_was_closed_gets_in_nowhere(self, client: Client) -> None:
        user = make_user(permissions=["stop_execution"])
        client.force_login(user)
        user.is_active = False
        user.save()
        assert client.get("/guarded/").status_code == 302

    def test_an_anonymous_person_comes_back_after_the_login(self, client: Client) -> None:
        response = client.get("/guarded/?page=2")
        assert (response.status_code, next_of(response["Location"])) == (302, "/guarded/?page=2")

    def test_after_a_form_they_come_back_to_the_page_of_the_form(self, client: Client) -> None:
        response = client.post("/change/", headers={"referer": "http://testserver/executions/?q=a"})
        assert next_of(response["Location"]) == "/executions/?q=a"
        response = client.post("/change/", headers={"referer": "http://elsewhere.example/x"})
        assert next_of(response["Location"]) == "/"

    def test_a_fragment_moves_the_whole_page_to_the_login(self, client: Client) -> None:
        headers = {"hx-request": "true", "hx-current-url": "http://testserver/executions/7/"}
        response = client.get("/guarded/", headers=headers)
        assert (response.status_code, response.content) == (401, b"")
        assert next_of(response["HX-Redirect"]) == "/executions/7/"

    def test_a_view_that_declares_nothing_is_refused_for_everybody(self, client: Client) -> None:
        assert client.get("/forgotten/").status_code == 403
        client.force_login(make_user(is_superuser=True))
        assert client.get("/forgotten/").status_code == 403


def next_of(location: str) -> str:
    parts = urlsplit(location)
    assert parts.path == "/login/"
    (page,) = parse_qs(parts.query)["next"]
    return page


class TestGroups:
    EXPECTED = {  # noqa: RUF012 - the table of the test
        "Viewer": {"view_execution", "view_function", "view_worker", "view_schedule"},
        "Payload viewer": {"view_execution", "view_function", "view_worker", "view_schedule", "view_payload"},
        "Operator": {
            "view_execution",
            "view_function",
            "view_worker",
            "start_execution",
            "stop_execution",
            "operate_execution",
            "view_schedule",
            "change_schedule",
        },
        "Approver": {"view_execution", "decide_callback"},
    }

    @pytest.fixture(autouse=True)
    def groups(self, django_db_setup: None, db: None) -> None:
        """The groups as the migration makes them, also after a test that emptied all tables."""
        from django.apps import apps

        import_module("durable_engine.migrations.0002_groups").create_groups(apps, None)
        import_module("approvals.migrations.0002_append_only").give_rights(apps, None)

    @pytest.mark.parametrize("name", EXPECTED)
    def test_a_group_has_these_rights_and_no_others(self, name: str) -> None:
        assert set(Group.objects.get(name=name).permissions.values_list("codename", flat=True)) == self.EXPECTED[name]

    def test_an_administrator_has_every_right_a_page_asks_for(self) -> None:
        rights = set(Group.objects.get(name="Administrator").permissions.values_list("codename", flat=True))
        views = all_patterns(get_resolver().url_patterns)
        asked = {str(getattr(view, "required_permission", None) or "") for _, view in views} - {""}
        assert {permission.partition(".")[2] for permission in asked} <= rights
        others = {
            "view_auditentry",
            "manage_people",
            "reveal_payload",
            "manage_apikey",
            "manage_remotefunction",
            "delete_execution",
            "delete_savedview",
        }
        others |= {"reveal_payload", "view_approvalrequest", "supervise_approvalrequest"}
        assert set().union(*self.EXPECTED.values()) | others == rights
