"""Every address of the product: who gets in, that looking changes nothing, that no text of anybody's runs.

The addresses come from the URL table. What is expected of each is written down here once more, by hand: an address that
is missing here fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection, transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.api_keys import create_api_key
from tests.dashboard.corpus import BREAKS_OUT, HOSTILE, living_elements
from tests.dashboard.every_url import Route, World, poison, routes
from tests.seeds import person

pytestmark = pytest.mark.django_db

SEE = {"view_execution", "view_function", "view_worker", "view_schedule"}
ROLES: dict[str, set[str]] = {
    "Viewer": SEE,
    "Payload viewer": SEE | {"view_payload"},
    "Operator": SEE | {"start_execution", "stop_execution", "operate_execution", "change_schedule"},
    "Approver": {"view_execution", "decide_callback"},
    "Administrator": SEE
    | {"start_execution", "stop_execution", "operate_execution", "change_schedule", "delete_execution"}
    | {"view_payload", "reveal_payload", "view_auditentry", "manage_apikey", "manage_people", "decide_callback"}
    | {"manage_remotefunction", "view_approvalrequest", "supervise_approvalrequest"},
    "in no group": set(),
}


@dataclass(frozen=True)
class Line:
    """What is expected of an address: its methods, the rights it asks, and how it refuses those who lack one."""

    methods: str
    rights: str = ""
    refusal: int = 403


GET, POST, BOTH = "GET", "POST", "GET POST"
REMOTE = "manage_remotefunction"
VIEW, OPERATE, START, CHANGE = "view_execution", "operate_execution", "start_execution", "change_schedule"
# Whoever may not see a request is not told that there is one; who may see it is not in these roles, but two of them.
OF_REQUEST = Line(GET, "view_approvalrequest", 404)
DO_REQUEST = Line(BOTH, "view_approvalrequest supervise_approvalrequest", 404)
SAY_REQUEST = Line(POST, "view_approvalrequest", 404)
ONE = "executions/<uuid:execution_id>/"
OPERATION = f"{ONE}operations/<str:operation_id>/"
REQUEST = "approvals/requests/<uuid:request_id>/"

PAGES: dict[str, Line] = {
    "": Line(GET),
    "home/poll/": Line(GET, VIEW),
    "executions/": Line(GET, VIEW),
    "executions/poll/": Line(GET, VIEW),
    "executions/views/": Line(POST, VIEW),
    "executions/views/<uuid:view_id>/delete/": Line(POST, VIEW),
    "histories/": Line(BOTH, VIEW),
    "compare/": Line(POST, VIEW),
    f"{ONE}compare/": Line(GET, VIEW),
    "bulk/": Line(GET, VIEW),
    "bulk/new/": Line(POST, VIEW),
    "bulk/<uuid:bulk_id>/": Line(GET, VIEW),
    "bulk/<uuid:bulk_id>/poll/": Line(GET, VIEW),
    # The one of the test rewinds.
    "bulk/<uuid:bulk_id>/options/": Line(POST, f"{VIEW} {OPERATE}"),
    "bulk/<uuid:bulk_id>/start/": Line(POST, f"{VIEW} {OPERATE}"),
    "bulk/<uuid:bulk_id>/continue/": Line(POST, f"{VIEW} {OPERATE}"),
    "bulk/<uuid:bulk_id>/cancel/": Line(POST, f"{VIEW} {OPERATE}"),
    ONE: Line(GET, VIEW),
    f"{ONE}timeline/": Line(GET, VIEW),
    f"{ONE}timeline/window/": Line(GET, VIEW),
    f"{ONE}steps/": Line(GET, VIEW),
    f"{ONE}history/": Line(GET, VIEW),
    f"{ONE}history.json": Line(GET, VIEW),
    f"{ONE}relations/": Line(GET, VIEW),
    f"{ONE}data/": Line(GET, VIEW),
    f"{ONE}logs/": Line(GET, VIEW),
    f"{ONE}poll/": Line(GET, VIEW),
    f"{ONE}input/": Line(GET, "view_payload"),
    f"{ONE}result/": Line(GET, "view_payload"),
    f"{OPERATION}result/": Line(GET, "view_payload"),
    f"{ONE}events/<int:event_id>/": Line(GET, "view_payload"),
    f"{ONE}stop/": Line(BOTH, "stop_execution"),
    f"{ONE}pause/": Line(BOTH, OPERATE),
    f"{ONE}resume/": Line(BOTH, OPERATE),
    f"{ONE}redrive/": Line(BOTH, OPERATE),
    f"{ONE}rerun/": Line(BOTH, START),
    f"{ONE}rerun/edit/": Line(BOTH, f"{START} view_payload"),
    f"{ONE}delete/": Line(BOTH, "delete_execution"),
    f"{OPERATION}retry/": Line(BOTH, OPERATE),
    f"{OPERATION}skip/": Line(BOTH, OPERATE),
    f"{OPERATION}complete/": Line(BOTH, OPERATE),
    f"{OPERATION}rewind/": Line(BOTH, OPERATE),
    f"{OPERATION}fork/": Line(BOTH, START),
    "keys/": Line(GET, "manage_apikey"),
    "keys/new/": Line(BOTH, "manage_apikey"),
    "keys/<str:access_key_id>/rotate/": Line(BOTH, "manage_apikey"),
    "keys/<str:access_key_id>/revoke/": Line(BOTH, "manage_apikey"),
    "metrics/": Line(GET, VIEW),
    "schedules/": Line(GET, "view_schedule"),
    "schedules/new/": Line(BOTH, CHANGE),
    "schedules/<uuid:schedule_id>/": Line(GET, "view_schedule"),
    "schedules/<uuid:schedule_id>/edit/": Line(BOTH, CHANGE),
    "schedules/<uuid:schedule_id>/trigger/": Line(BOTH, START),
    "schedules/<uuid:schedule_id>/pause/": Line(BOTH, CHANGE),
    "schedules/<uuid:schedule_id>/resume/": Line(BOTH, CHANGE),
    "schedules/<uuid:schedule_id>/delete/": Line(BOTH, CHANGE),
    "workers/": Line(GET, "view_worker"),
    "audit/": Line(GET, "view_auditentry"),
    "audit/export.<str:kind>": Line(GET, "view_auditentry"),
    "settings/": Line(BOTH),
    "settings/password/": Line(BOTH),
    "settings/views/": Line(GET, VIEW),
    "settings/api/": Line(GET),
    "settings/remote-functions/": Line(GET, REMOTE),
    "settings/remote-functions/new/": Line(BOTH, REMOTE),
    "settings/remote-functions/<str:function>/<int:version>/": Line(BOTH, REMOTE),
    "settings/remote-functions/<str:function>/<int:version>/delete/": Line(BOTH, REMOTE),
    "people/groups/": Line(GET, "manage_people"),
    "people/groups/new/": Line(BOTH, "manage_people"),
    "people/groups/<int:group_id>/": Line(BOTH, "manage_people"),
    "people/groups/<int:group_id>/add/": Line(POST, "manage_people"),
    "people/groups/<int:group_id>/delete/": Line(BOTH, "manage_people"),
    "people/groups/<int:group_id>/remove/<int:user_id>/": Line(POST, "manage_people"),
    "settings/storage/": Line(GET, "view_worker"),
    "people/": Line(GET, "manage_people"),
    "people/new/": Line(BOTH, "manage_people"),
    "people/<int:user_id>/": Line(BOTH, "manage_people"),
    "people/<int:user_id>/close/": Line(BOTH, "manage_people"),
    "people/<int:user_id>/open/": Line(BOTH, "manage_people"),
    "people/<int:user_id>/password/": Line(BOTH, "manage_people"),
    "failures/": Line(GET, VIEW),
    "failures/<uuid:group_id>/": Line(GET, VIEW),
    "failures/<uuid:group_id>/retry/": Line(BOTH, OPERATE),
    "failures/<uuid:group_id>/resolve/": Line(BOTH, OPERATE),
    "failures/<uuid:group_id>/mute/": Line(BOTH, OPERATE),
    "failures/<uuid:group_id>/reopen/": Line(BOTH, OPERATE),
    "functions/": Line(GET, "view_function"),
    "functions/<str:function>/": Line(GET, "view_function"),
    "functions/<str:function>/pause/": Line(BOTH, OPERATE),
    "functions/<str:function>/resume/": Line(BOTH, OPERATE),
    "functions/<str:function>/start/": Line(BOTH, START),
    "approvals/": Line(GET),
    "approvals/inbox/done/export.csv": Line(GET),
    "approvals/inbox/views/keep/": Line(POST),
    "approvals/inbox/views/<uuid:view_id>/delete/": Line(POST),
    "approvals/inbox/<str:box>/": Line(GET),
    "approvals/inbox/<str:box>/poll/": Line(GET),
    REQUEST: Line(BOTH, "view_approvalrequest", 404),
    f"{REQUEST}changes/": OF_REQUEST,
    f"{REQUEST}claim/": SAY_REQUEST,
    f"{REQUEST}release/": SAY_REQUEST,
    f"{REQUEST}comment/": SAY_REQUEST,
    # Nobody of these roles is asked, so nobody sends it on or breaks the glass: approvals have a table of their own.
    f"{REQUEST}delegate/": Line(BOTH, "view_approvalrequest", 404),
    f"{REQUEST}reassign/": DO_REQUEST,
    f"{REQUEST}extend/": DO_REQUEST,
    f"{REQUEST}withdraw/": DO_REQUEST,
    f"{REQUEST}break-glass/": Line(BOTH, "view_approvalrequest", 404),
    f"{REQUEST}history/": OF_REQUEST,
    f"{REQUEST}history.json": OF_REQUEST,
    f"{REQUEST}history.csv": OF_REQUEST,
    f"{REQUEST}files/<uuid:attachment_id>/": OF_REQUEST,
    "approvals/bulk/": Line(BOTH),
    "approvals/team/": Line(GET, "supervise_approvalrequest"),
    "approvals/team/open/": Line(GET, "supervise_approvalrequest"),
    "approvals/away/": Line(GET),
    "approvals/away/absences/": Line(POST),
    "approvals/away/absences/<uuid:absence_id>/end/": Line(POST),
    "approvals/away/delegations/": Line(POST),
    "approvals/away/delegations/<uuid:delegation_id>/end/": Line(POST),
    "approvals/preferences/": Line(BOTH),
    "approvals/callbacks/": Line(GET, "decide_callback"),
    "approvals/callbacks/<uuid:execution_id>/<str:operation_id>/": Line(BOTH, "decide_callback"),
}
OPEN_TO_ALL = {
    "healthz",
    "favicon.ico",
    "api/v1/openapi.json",
    "login/",
    "logout/",
    "approvals/link/<str:token>/",
    "approvals/confirm/<uuid:request_id>/",
}
# What a page answers to people who get in, where it is not 200: it leads somewhere else, or there is nothing to show.
ANSWERS = {
    "approvals/": {200, 302},
    "": {200, 302},
    # They see it, and are not asked.
    **{f"{REQUEST}{verb}/": {403} for verb in ("claim", "release")},
    **{f"{REQUEST}{verb}/": {403, 422} for verb in ("delegate", "break-glass")},
}
# What a page answers to a form without a word in it.
DONE = {200, 302, 404, 409, 422}

ARN = "2025-12-01/durable-executions/<path:arn>"
CALLBACK = "2025-12-01/durable-execution-callbacks/<path:callback_id>"
FUNCTION = "2015-03-31/functions/<str:function>"
APPROVAL = "api/approvals/requests/<uuid:request_id>"
V1 = "api/v1/executions/<str:execution>"
API: dict[str, dict[str, str]] = {
    "api/v1/executions": {"GET": "read", "POST": "start"},
    V1: {"GET": "read", "DELETE": "stop"},
    f"{V1}/tags": {"PUT": "repair"},
    **{f"{V1}/{verb}": {"POST": "stop"} for verb in ("stop", "pause", "resume")},
    **{f"{V1}/{verb}": {"POST": "repair"} for verb in ("retry", "redrive", "rerun")},
    **{
        f"{V1}/operations/<path:operation>/{verb}": {"POST": "repair"}
        for verb in ("retry", "skip", "complete", "rewind", "fork")
    },
    "api/v1/functions": {"GET": "read"},
    "api/v1/functions/<str:function>/callbacks/<path:key>": {"GET": "callback"},
    "metrics/prometheus": {"GET": "metrics"},
    f"{FUNCTION}/invocations": {"POST": "start"},
    f"{FUNCTION}/configuration": {"GET": "read"},
    FUNCTION: {"GET": "read"},
    "2015-03-31/functions": {"GET": "read"},
    "2015-03-31/functions/": {"GET": "read"},
    "2025-12-01/functions/<str:function>/durable-executions": {"GET": "read"},
    f"{ARN}/history": {"GET": "read"},
    f"{ARN}/stop": {"POST": "stop"},
    f"{ARN}/checkpoint": {"POST": "checkpoint"},
    f"{ARN}/state": {"GET": "checkpoint"},
    f"{ARN}/pause": {"POST": "stop"},
    f"{ARN}/resume": {"POST": "stop"},
    ARN: {"GET": "read", "DELETE": "stop"},
    **{f"{CALLBACK}/{verb}": {"POST": "callback"} for verb in ("succeed", "fail", "heartbeat")},
    "api/approvals/requests": {"GET": "approve"},
    "api/approvals/counts": {"GET": "approve"},
    APPROVAL: {"GET": "approve"},
    f"{APPROVAL}/attachments/<uuid:attachment_id>": {"GET": "approve"},
    **{
        f"{APPROVAL}/{verb}": {"POST": "approve"}
        for verb in (
            "votes", "break-glass", "claim", "release", "delegate", "comments", "questions", "replies", "reassign",
            "extend", "withdraw",
        )
    },
}  # fmt: skip
# They answer that there is nothing.
CATCH_ALL = {"api/v1/", "api/approvals/", "^(?:2015-03-31|2025-12-01)(?:/|$)"}

WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|TRUNCATE)\b(?! OF)")


FRAGMENT = {"HX-Request": "true", "X-Dialog": "1"}
FIELDS = (
    "q", "name", "function", "status", "tag", "op", "with", "cursor", "v", "reason", "comment", "title", "username",
    "input", "input_text", "result", "error_message", "cron", "text", "note", "to", "actor", "from", "since",
)  # fmt: skip


def pages() -> Iterator[tuple[Route, Line]]:
    for route in routes():
        if route.pattern in PAGES:
            yield route, PAGES[route.pattern]


@pytest.fixture
def world(settings: Settings) -> World:
    settings.DURABLE_API_WAIT_SECONDS = 0.001
    return World()


def ask(client: Client, method: str, url: str, **options: Any) -> HttpResponseBase:
    """One request, whose changes are taken back."""
    with transaction.atomic():
        answer: HttpResponseBase = getattr(client, method.lower())(url, **options)
        if hasattr(answer, "streaming_content"):
            b"".join(answer.streaming_content)
        transaction.set_rollback(True)
    return answer


def test_every_address_is_in_one_of_the_tables() -> None:
    found = {route.pattern for route in routes()}
    assert found == PAGES.keys() | OPEN_TO_ALL | API.keys() | CATCH_ALL


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_in_where_it_may_and_nowhere_else(world: World, role: str) -> None:
    client = Client()
    client.force_login(person("somebody", *([role] if ROLES[role] else [])))
    wrong = []
    for route, line in pages():
        missing = set(line.rights.split()) - ROLES[role]
        for method in line.methods.split():
            status = ask(client, method, world.url(route)).status_code
            if missing:
                is_right = status == line.refusal
            else:
                is_right = status in ANSWERS.get(route.pattern, {200} if method == GET else DONE)
            if not is_right:
                wrong.append((method, route.pattern, status))
    assert wrong == []


def test_looking_changes_nothing_and_what_changes_is_no_look(world: World) -> None:
    client = Client()
    client.force_login(person("somebody", "Administrator"))
    wrong: list[tuple[object, ...]] = []
    for route, line in pages():
        for method in (GET, POST):
            if method not in line.methods.split():
                status = ask(client, method, world.url(route)).status_code
                wrong += [(method, route.pattern, status)] if status != 405 else []
        if GET in line.methods:
            with CaptureQueriesContext(connection) as queries:
                client.get(world.url(route))
            wrong += [(route.pattern, each["sql"][:200]) for each in queries if WRITES.search(each["sql"])]
    headers = {"Authorization": f"Bearer {world.pair.key.access_key_id}.{world.pair.secret}"}
    for route in routes():
        if "GET" not in API.get(route.pattern, {"GET": ""}):
            status = ask(client, GET, world.url(route), headers=headers).status_code
            wrong += [(route.pattern, status)] if status != 405 else []
    assert wrong == []


def test_without_a_login_every_page_leads_to_it(world: World, client: Client) -> None:
    wrong = []
    for route, line in pages():
        for method in line.methods.split():
            answer = ask(client, method, world.url(route))
            if answer.status_code != 302 or not answer["Location"].startswith("/login/?next="):
                wrong.append((method, route.pattern, answer.status_code))
    assert wrong == []


REFUSALS = {"AccessDeniedException", "MissingAuthenticationTokenException"}
SCOPES = ("start", "read", "stop", "repair", "callback", "approve", "checkpoint", "metrics")


@pytest.mark.parametrize("scope", [*SCOPES, "a login", "nothing"])
def test_each_key_gets_in_where_its_scope_lets_it(world: World, scope: str) -> None:
    client = Client()
    headers: dict[str, str] = {}
    if scope in SCOPES:
        acts_for = "asked" if scope == "approve" else ""
        pair = create_api_key("some", actor=PYTHON_CODE, scopes=[scope], acts_for=acts_for)
        headers = {"Authorization": f"Bearer {pair.key.access_key_id}.{pair.secret}"}
    elif scope == "a login":
        client.force_login(person("somebody", "Administrator"))
    wrong = []
    for route in routes():
        for method in API.get(route.pattern, {}):
            options = {"data": "{}", "content_type": "application/json"} if method in {"POST", "PUT"} else {}
            answer = ask(client, method, world.url(route), headers=headers, **options)
            is_refused = answer.get("x-amzn-ErrorType") in REFUSALS
            if is_refused != (scope != API[route.pattern][method]):
                wrong.append((method, route.pattern, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("text", [BREAKS_OUT, HOSTILE[-1]], ids=["breaks out", "leads to code"])
def test_no_text_of_anybody_s_runs_on_any_page_or_fragment(text: str) -> None:
    world = World(text)
    client = Client()
    boss = person("boss")
    boss.is_superuser = True
    boss.save()
    client.force_login(boss)
    poison(text)
    found = []
    fields = dict.fromkeys(FIELDS, text)
    for route in routes():
        if not route.is_page or route.pattern == "logout/":
            continue
        url = world.url(route)
        # As a page, and as a fragment or dialog of a request whose every word is hostile.
        asked = [ask(client, GET, url), ask(client, GET, url, data=fields, headers=FRAGMENT)]
        if POST in PAGES.get(route.pattern, Line(BOTH)).methods:
            asked.append(ask(client, POST, url, data=fields))
        for answer in asked:
            assert answer.status_code < 500, route.pattern
            if not answer.get("Content-Type", "").startswith("text/html") or answer.status_code == 302:
                continue
            html = answer.content.decode()  # type: ignore[attr-defined]
            if living := living_elements(html):
                found.append((route.pattern, living[:2]))
    assert found == []
