"""Approvals over HTTP: what a person may do, their key may do, and conflicts say who was first."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User as AuthUser
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from approvals import User
from approvals.models import ApprovalRequest, Vote
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.api_keys import create_api_key
from tests.approvals.people import at_once, opened, user, vote

pytestmark = pytest.mark.django_db

ROOT = "/api/approvals"


@dataclass
class Api:
    """A client with one person's key."""

    token: str

    def get(self, path: str) -> tuple[int, Any]:
        response = Client().get(f"{ROOT}/{path}", headers={"Authorization": f"Bearer {self.token}"})
        return response.status_code, json.loads(response.content)

    def post(self, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        text = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        response = Client().post(f"{ROOT}/{path}", text, content_type="application/json", headers=headers)
        return response.status_code, json.loads(response.content)


def api_of(person: AuthUser, **options: Any) -> Api:
    pair = create_api_key("bot", actor=PYTHON_CODE, scopes=["approve"], acts_for=person.username, **options)
    return Api(f"{pair.key.access_key_id}.{pair.secret}")


def answer(request: ApprovalRequest, **more: Any) -> dict[str, Any]:
    return {"choice": "approve", "digest": request.digest, **more}


def test_a_request_is_found_read_and_answered() -> None:
    ana = user("ana", "finance")
    user("rae")
    request = opened(requester="rae", details={"order": 7}, form={"properties": {"amount": {"type": "number"}}})
    api = api_of(ana)
    status, listed = api.get("requests?box=groups")
    assert status == 200
    assert [row["title"] for row in listed["items"]] == ["Refund 120 EUR"]
    assert api.get("counts") == (200, {"mine": 0, "groups": 1, "waiting": 0, "delegated": 0})
    _, shown = api.get(f"requests/{request.pk}")
    assert (shown["details"], shown["requester"], shown["asked"][0]["group"]) == ({"order": 7}, "rae", "finance")
    assert {"decide", "claim", "delegate"} <= set(shown["actions"])
    status, done = api.post(
        f"requests/{request.pk}/votes", answer(request, data={"amount": 5}, comment="fine"), uuid4().hex
    )
    assert (status, done["is_final"], done["request"]["state"]) == (200, True, "APPROVED")
    vote_row = Vote.objects.get()
    assert (vote_row.voter_label, vote_row.channel, vote_row.data) == ("ana", "api", {"amount": 5.0})


def test_the_same_key_again_counts_once_and_another_content_is_refused() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request, api = opened(quorum=2), api_of(ana)
    key = uuid4().hex
    first = api.post(f"requests/{request.pk}/votes", answer(request), key)
    again = api.post(f"requests/{request.pk}/votes", answer(request), key)
    assert [first[1]["is_repeat"], again[1]["is_repeat"]] == [False, True]
    status, refused = api.post(f"requests/{request.pk}/votes", answer(request, choice="reject"), key)
    assert (status, refused["error"]["code"]) == (422, "OperationIdReused")
    assert Vote.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_the_loser_learns_who_was_first() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened()
    apis = [api_of(ana), api_of(ben)]
    results = at_once(
        *(lambda api=api: api.post(f"requests/{request.pk}/votes", answer(request), uuid4().hex) for api in apis)
    )
    assert sorted(status for status, _ in results) == [200, 409]
    error = next(value["error"] for status, value in results if status == 409)
    winner = ApprovalRequest.objects.get().closed_by_label
    assert (error["code"], error["outcome"], error["decided_by"]) == ("AlreadyDecided", "approved", winner)
    assert error["decided_at"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"choice": "maybe"}, 422, "choice"),
        ({"choice": 7}, 422, "choice"),
        ({"choice": None}, 422, "choice"),
        ({"digest": None}, 422, "digest"),
        ({"comment": ["x"]}, 422, "comment"),
        ({"comment": "x" * 2_001}, 422, "comment"),
        ({"data": []}, 422, "data"),
        ({"data": {"amount": "much"}}, 422, "amount"),
        ({"data": {"amount": {"a": 1}}}, 422, "amount"),
        ({"data": {"other": 1}}, 422, "other"),
        ({"data": {}}, 422, "amount"),
        ({"on_behalf_of": "nobody"}, 422, "on_behalf_of"),
        ({"on_behalf_of": "a\x00"}, 422, "on_behalf_of"),
    ],
)
def test_bad_input_names_its_field_and_the_request_stays_open(body: dict[str, Any], status: int, field: str) -> None:
    ana = user("ana", "finance")
    form = {"properties": {"amount": {"type": "number"}}, "required": ["amount"]}
    request = opened(form=form)
    given = answer(request, data={"amount": 1}) | body
    code, refused = api_of(ana).post(f"requests/{request.pk}/votes", given, uuid4().hex)
    assert (code, set(refused["error"]["fields"])) == (status, {field})
    assert ApprovalRequest.objects.get().is_open


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"x"', b"1" * 5_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    ana = user("ana", "finance")
    request = opened()
    status, refused = api_of(ana).post(f"requests/{request.pk}/votes", body)
    assert status == 400
    assert refused["error"]["code"] == "InvalidInput"


def test_an_answer_without_an_idempotency_key_is_refused() -> None:
    ana = user("ana", "finance")
    request = opened()
    status, refused = api_of(ana).post(f"requests/{request.pk}/votes", answer(request))
    assert (status, set(refused["error"]["fields"])) == (422, {"operation_id"})


def test_another_digest_is_a_conflict_that_says_the_right_one() -> None:
    ana = user("ana", "finance")
    request = opened()
    status, refused = api_of(ana).post(f"requests/{request.pk}/votes", answer(request, digest="0" * 64), uuid4().hex)
    assert (status, refused["error"]["code"], refused["error"]["digest"]) == (409, "StaleSubject", request.digest)


def test_what_does_not_exist_and_what_is_not_theirs_look_the_same() -> None:
    user("ana", "finance")
    request, eve = opened(), api_of(user("eve"))
    hidden, missing = eve.get(f"requests/{request.pk}"), eve.get(f"requests/{uuid4()}")
    # A 404 of the view is without a row to show.
    assert hidden[0] == missing[0] == 404
    assert hidden[1] == missing[1]


def test_everything_else_that_people_do() -> None:
    ana, ben = user("ana", "finance"), user("ben")
    rae = user("rae")
    chief = user("chief", rights=["supervise_approvalrequest", "break_glass", "view_approvalrequest"])
    request = opened(requester="rae")
    where = f"requests/{request.pk}"
    of = {person.username: api_of(person) for person in (ana, ben, rae, chief)}
    assert of["ana"].post(f"{where}/claim")[1]["claimed_by"] == "ana"
    assert of["ana"].post(f"{where}/release")[1]["claimed_by"] == ""
    assert of["ana"].post(f"{where}/comments", {"text": "hm"})[0] == 201
    assert of["ana"].post(f"{where}/questions", {"text": "why?"})[1]["is_question_open"]
    assert not of["rae"].post(f"{where}/replies", {"text": "so."})[1]["is_question_open"]
    assert of["ana"].post(f"{where}/delegate", {"to": "ben"})[0] == 200
    assert of["ben"].get(where)[1]["may_act_for"] == ["ana"]
    later = (timezone.now() + timedelta(days=3)).isoformat()
    assert of["chief"].post(f"{where}/extend", {"expires_at": later, "reason": "r"})[1]["expires_at"]
    to = [{"user": "ben"}]
    assert of["chief"].post(f"{where}/reassign", {"to": to, "reason": "r", "replace": False})[0] == 200
    with_reason = answer(request, reason="fire")
    assert of["chief"].post(f"{where}/break-glass", with_reason, uuid4().hex)[1]["request"]["is_break_glass"]
    kinds = [line["kind"] for line in of["chief"].get(where)[1]["history"]]
    assert kinds == [
        "OPENED", "CLAIMED", "RELEASED", "COMMENTED", "ASKED", "REPLIED", "DELEGATED", "EXTENDED", "REASSIGNED",
        "BROKE_GLASS", "DECIDED",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("reassign", {"to": "ana", "reason": "r"}, "to"),
        ("reassign", {"to": [{"user": 7}], "reason": "r"}, "to"),
        ("reassign", {"to": [{"animal": "dog"}], "reason": "r"}, "to"),
        ("reassign", {"to": [{"user": "nobody"}], "reason": "r"}, "to"),
        ("reassign", {"to": [{"user": "ana"}], "reason": "r", "replace": "yes"}, "replace"),
        ("extend", {"expires_at": "soon", "reason": "r"}, "expires_at"),
        ("extend", {"expires_at": "2030-01-01T00:00:00", "reason": "r"}, "expires_at"),
        ("extend", {"reason": "r"}, "due_at"),
        ("withdraw", {}, "reason"),
        ("comments", {"text": ""}, "text"),
        ("delegate", {}, "to"),
    ],
)
def test_bad_input_of_other_actions_names_its_field(path: str, body: dict[str, Any], field: str) -> None:
    user("ana", "finance")
    request = opened()
    chief = api_of(user("chief", "finance", rights=["supervise_approvalrequest"]))
    status, refused = chief.post(f"requests/{request.pk}/{path}", body)
    assert (status, set(refused["error"]["fields"])) == (422, {field})


@pytest.mark.parametrize("query", ["box=all", "limit=0", "limit=x", "limit=201"])
def test_bad_queries_are_refused(query: str) -> None:
    assert api_of(user("ana")).get(f"requests?{query}")[0] == 422


def test_lists_are_paged() -> None:
    ana = user("ana", "finance")
    for number in range(5):
        opened(title=f"Refund {number}")
    api, titles, cursor = api_of(ana), [], ""
    for _ in range(3):
        _, page = api.get(f"requests?box=groups&limit=2&cursor={cursor}")
        titles += [row["title"] for row in page["items"]]
        cursor = page["next"]
    assert titles == [f"Refund {number}" for number in range(5)]
    assert cursor is None


def test_a_key_that_acts_for_nobody_and_one_whose_person_has_left_may_do_nothing() -> None:
    ana = user("ana", "finance")
    request, api = opened(), api_of(ana)
    AuthUser.objects.update(is_active=False)
    assert api.get(f"requests/{request.pk}")[0] == 403
    pair = create_api_key("reader", actor=PYTHON_CODE, scopes=["read"])
    assert Api(f"{pair.key.access_key_id}.{pair.secret}").get("requests")[0] == 403
    assert Client().get(f"{ROOT}/requests").status_code == 403


def test_a_key_for_other_functions_sees_no_request() -> None:
    ana = user("ana", "finance")
    request, api = opened(), api_of(ana, functions=["payroll-*"])
    assert api.get(f"requests/{request.pk}")[0] == 404
    assert api.post(f"requests/{request.pk}/votes", answer(request), uuid4().hex)[0] == 404
    assert api.get("requests?box=groups")[1]["items"] == []


def test_a_key_is_made_for_a_person_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    user("ana", "finance")
    call_command("durable", "keys", "create", "ana-bot", "--scope", "approve", "--for", "ana", "--json")
    made = json.loads(capsys.readouterr().out)
    api = Api(f"{made['access_key_id']}.{made['secret_access_key']}")
    assert api.get("counts")[0] == 200


@pytest.mark.parametrize(
    "options", [{"scopes": ["approve"]}, {"scopes": ["approve"], "acts_for": "nobody"}, {"acts_for": "ana"}]
)
def test_a_key_for_approvals_needs_a_person_and_only_such_a_key_has_one(options: dict[str, Any]) -> None:
    user("ana")
    with pytest.raises(Exception, match="acts_for"):
        create_api_key("bot", actor=PYTHON_CODE, **options)


def test_files_are_given_out_to_those_who_may_see_the_request() -> None:
    ana = user("ana", "finance")
    form = {"properties": {"scan": {"type": "string", "format": "file"}}, "required": ["scan"]}
    request = opened(form=form)
    files = {"scan": SimpleUploadedFile("scan.pdf", b"%PDF", "application/pdf")}
    vote(request, ana, files=files)
    data = Vote.objects.get().data["scan"]
    path = f"requests/{request.pk}/attachments/{UUID(data['attachment'])}"
    assert b64decode(api_of(ana).get(path)[1]["content"]) == b"%PDF"
    assert api_of(user("eve")).get(path)[0] == 404


def test_unknown_paths_and_methods_answer_as_the_rest(client: Client) -> None:
    assert client.get(f"{ROOT}/nothing").status_code == 404
    assert client.delete(f"{ROOT}/requests").status_code == 405


def test_a_user_asked_by_name_answers_for_a_colleague_only_when_sent_on() -> None:
    user("ana")
    ben = user("ben")
    request = opened(assignees=[User("ana"), User("ben")], quorum=2)
    status, refused = api_of(ben).post(f"requests/{request.pk}/votes", answer(request, on_behalf_of="ana"), uuid4().hex)
    assert (status, refused["error"]["code"]) == (403, "NotAllowed")
