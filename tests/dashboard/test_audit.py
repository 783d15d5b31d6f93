import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from uuid_utils.compat import uuid7

from dashboard import audit
from durable_engine.models import AuditEntry
from durable_engine.queries import audit as audit_queries
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element, elements, words

LogIn = Callable[..., Client]
PAGE = "/audit/"


def entry(**columns: Any) -> AuditEntry:
    at = columns.pop("at", None)
    made = AuditEntry.objects.create(**({"actor": "ana", "channel": "dashboard", "action": "stop_execution"} | columns))
    if at is not None:
        AuditEntry.objects.filter(pk=made.pk).update(at=at)
    return made


def text_of(client: Client, **query: str) -> str:
    response = client.get(PAGE, query)
    assert response.status_code == 200
    return words(response.content.decode())


def rows_of(html: str) -> int:
    return html.partition("<tbody>")[2].count("<tr>")


def file_of(client: Client, kind: str, **query: str) -> str:
    response = client.get(f"{PAGE}export.{kind}", query)
    assert response.status_code == 200
    assert response["Content-Disposition"].startswith("attachment; filename=")
    return bytes(response.getvalue()).decode()


def test_each_entry_says_who_did_what_to_which_execution_and_why(log_in: LogIn) -> None:
    execution_id = uuid7()
    entry(execution_id=execution_id, operation_id="1-2", reason="ordered twice", details={"was": "RUNNING", "x": None})
    html = text_of(log_in("Administrator"))
    for shown in ("ana", "dashboard", "Stop execution", "operation 1-2", "ordered twice", "was: RUNNING"):
        assert shown in html
    assert elements(html, href=f"/executions/{execution_id}/")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"actor": "bob"}, 2),
        ({"action": "pause_execution"}, 1),
        ({"channel": "api"}, 1),
        ({"actor": "bob", "action": "stop_execution"}, 1),
        ({"from": "2026-01-10"}, 2),
        ({"to": "2026-01-10"}, 2),
        ({"from": "2026-01-10", "to": "2026-01-10"}, 1),
        ({"actor": "BOB"}, 0),
    ],
)
def test_filters_narrow_the_page_and_the_files(log_in: LogIn, query: dict[str, str], count: int) -> None:
    day = datetime(2026, 1, 10, 23, 59, 59, tzinfo=UTC)
    entry(actor="bob", at=day - timedelta(days=5))
    entry(actor="bob", action="pause_execution", at=day)
    entry(channel="api", at=day + timedelta(days=5))
    client = log_in("Administrator")
    html = text_of(client, **query)
    assert rows_of(html) == count
    assert len(file_of(client, "jsonl", **query).splitlines()) == count
    assert all(link["href"].endswith(urlencode(query)) for link in elements(html, class_="button", download=""))


def test_one_execution_can_be_looked_for(log_in: LogIn) -> None:
    wanted = uuid7()
    entry(execution_id=wanted)
    entry(execution_id=uuid7())
    assert rows_of(text_of(log_in("Administrator"), execution=str(wanted))) == 1


@pytest.mark.parametrize("query", [{"from": "yesterday"}, {"to": "9999-12-32"}, {"execution": "abc"}])
def test_what_cannot_be_read_is_told_and_no_file_is_made_of_it(log_in: LogIn, query: dict[str, str]) -> None:
    entry()
    client = log_in("Administrator")
    html = text_of(client, **query)
    assert rows_of(html) == 1
    assert "This filter is left out." in html
    assert client.get(f"{PAGE}export.csv", query).status_code == 422


def test_the_csv_file_holds_everything_and_no_formula(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_queries, "EXPORT_BATCH", 2)
    for number in range(5):
        entry(reason=f'=HYPERLINK("x"){number}', details={"number": number})
    rows = list(csv.DictReader(StringIO(file_of(log_in("Administrator"), "csv"))))
    assert [json.loads(row["details"])["number"] for row in rows] == [4, 3, 2, 1, 0]
    assert {row["reason"][:2] for row in rows} == {"'="}
    assert datetime.fromisoformat(rows[0]["at"]).tzinfo is not None


def test_a_file_stops_at_its_limit(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_EXPORTED", 3)
    for _ in range(5):
        entry()
    assert len(file_of(log_in("Administrator"), "jsonl").splitlines()) == 3


def test_pages_lead_to_older_and_back_with_the_filter(log_in: LogIn) -> None:
    for number in range(60):
        entry(reason=f"number-{number:02}")
    entry(actor="bob", reason="of-bob")
    client = log_in("Administrator")
    older = element(text_of(client, actor="ana"), rel="next")["href"]
    second = words(client.get(older).content.decode())
    assert "number-09" in second
    assert "number-59" not in second
    assert "of-bob" not in second
    assert "number-59" in client.get(element(second, rel="prev")["href"]).content.decode()


def test_nothing_yet_and_nothing_matching_are_told_apart(log_in: LogIn) -> None:
    client = log_in("Administrator")
    assert "Nothing has been done yet" in text_of(client)
    assert "Nothing matches these filters" in text_of(client, actor="nobody")


def test_the_number_of_queries_is_constant(log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client = log_in("Administrator")
    entry()
    # Session, user, two for permissions, the page, the names of the actions.
    with django_assert_num_queries(6):
        client.get(PAGE)
    for number in range(20):
        entry(action=f"action_{number}")
    with django_assert_num_queries(6):
        client.get(PAGE)


@pytest.mark.parametrize("url", [PAGE, f"{PAGE}export.csv", f"{PAGE}export.jsonl"])
def test_only_administrators_may_look(log_in: LogIn, url: str) -> None:
    assert log_in("Operator", "Payload viewer").get(url).status_code == 403
    client = log_in("Administrator")
    assert client.post(url).status_code == 405
    assert client.get(f"{PAGE}export.exe").status_code == 404


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    entry(
        actor=hostile,
        action=hostile[:64],
        channel=hostile[:32],
        operation_id=hostile,
        reason=hostile,
        details={hostile: hostile},
    )
    client = log_in("Administrator")
    for query in ({}, dict.fromkeys(audit.PARAMETERS, hostile)):
        assert executable_parts(client.get(PAGE, query).content.decode()) == []
    assert client.get(f"{PAGE}export.csv")["Content-Type"].startswith("text/csv")
