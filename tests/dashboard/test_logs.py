"""The Logs tab: what the handler said, for people who may see payloads."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import Execution, LogRecord
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.factories import make_function
from tests.html import element, elements, words
from tests.seeds import Story

LogIn = Callable[..., Client]


def say(story: Story, *messages: str, level: str = "INFO", fields: dict[str, Any] | None = None, **more: Any) -> Story:
    for message in messages:
        LogRecord.objects.create(
            execution=story.execution,
            position=LogRecord.objects.filter(execution=story.execution).count() + 1,
            at=timezone.now(),
            level=level,
            message=message,
            fields=json.dumps(fields) if fields else None,
            **more,
        )
    return story


def page(client: Client, story: Story, query: str = "") -> str:
    return client.get(f"/executions/{story.id}/logs/{query}").content.decode()


def positions(html: str) -> list[str]:
    return [row["id"] for row in elements(html, tag="tr") if row.get("id", "").startswith("log-")]


def test_records_are_shown_in_order_with_operation_attempt_fields_and_traceback(log_in: LogIn) -> None:
    story = say(Story(), "begins")
    fields = {"order": "A-7", "exception": "Traceback …\nLookupError: gone"}
    say(story, "failed", level="ERROR", fields=fields, operation_id="1-2", operation_name="charge", attempt=3)

    html = page(log_in("Payload viewer"), story)

    text = words(html)
    for shown in ("begins", "failed", "ERROR", "charge", "attempt 3", "LookupError: gone", "A-7"):
        assert shown in text
    assert positions(html) == ["log-1", "log-2"]
    assert element(html, href="?op=1-2")


def test_they_need_the_right_to_see_payloads(log_in: LogIn) -> None:
    story = say(Story(), "a secret")
    for group in ("Viewer", "Operator"):
        client = log_in(group)
        html = page(client, story)
        assert "a secret" not in html
        assert "takes the right to see payloads" in words(html)
        assert "a secret" not in client.get(f"/executions/{story.id}/poll/?tab=logs").content.decode()


def test_masked_fields_are_hidden(log_in: LogIn) -> None:
    make_function("charges", config={"masked_keys": ["card_number"]})
    story = say(
        Story("charges"), 'sends {"cardNumber": "4242 4242"}', fields={"card_number": "1881 1881", "order": "A-7"}
    )

    html = page(log_in("Payload viewer"), story)

    assert "4242 4242" not in html
    assert "1881 1881" not in html
    assert "A-7" in html


def test_they_are_filtered_by_level_and_operation_and_read_from_the_end(log_in: LogIn) -> None:
    story, client = say(Story(), "info", "more"), log_in("Payload viewer")
    say(story, "warned", level="WARNING", operation_id="3")
    say(story, "failed", level="ERROR")

    assert positions(page(client, story, "?level=warning")) == ["log-3", "log-4"]
    assert positions(page(client, story, "?level=error")) == ["log-4"]
    assert positions(page(client, story, "?op=3")) == ["log-3"]
    assert positions(page(client, story, "?order=newest")) == ["log-4", "log-3", "log-2", "log-1"]
    assert "No such records" in page(client, story, "?op=9")
    assert positions(page(client, story, "?level=nonsense&after=x")) == ["log-1", "log-2", "log-3", "log-4"]
    assert "No such records" in page(client, story, f"?after={'9' * 15}")


def test_many_records_have_pages_and_the_page_says_when_more_were_said_than_are_kept(log_in: LogIn) -> None:
    story, client = Story(), log_in("Payload viewer")
    LogRecord.objects.bulk_create(
        LogRecord(execution=story.execution, position=number, at=timezone.now(), level="INFO", message=f"line {number}")
        for number in range(1, 251)
    )

    first = page(client, story)
    assert len(positions(first)) == 200
    assert "records of an execution are kept here" not in first
    second = page(client, story, element(first, rel="next")["href"])
    assert positions(second)[0] == "log-201"
    assert "To the beginning" in second
    with override_settings(DURABLE_LOG_RECORDS=250):
        assert "Only the first 250 records" in words(page(client, story))


def test_without_any_the_page_says_how_they_come(log_in: LogIn) -> None:
    client = log_in("Payload viewer")
    assert "Nothing logged yet" in words(page(client, Story()))
    assert "Nothing logged yet" not in words(page(client, Story().close("SUCCEEDED", 1)))
    with override_settings(DURABLE_LOG_RECORDS=0):
        assert "Records are not kept here" in words(page(client, Story()))


def test_new_records_come_by_the_poll_though_the_execution_has_not_moved(
    log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    story, client = say(Story(), "first"), log_in("Payload viewer")
    poll = element(page(client, story), id="execution-poll")
    address = f"{poll['data-url']}&v={poll['data-version']}"
    with django_assert_num_queries(4 + 1):  # session, user, two for permissions; and the page
        assert client.get(address).status_code == 204

    say(story, "second")

    html = client.get(address).content.decode()
    assert element(html, id="log-records")["hx-swap-oob"] == "true"
    assert positions(html) == ["log-1", "log-2"]


def test_the_last_records_come_after_the_end_and_then_the_page_stops_asking(log_in: LogIn) -> None:
    story, client = say(Story(), "first").close("SUCCEEDED", 1), log_in("Payload viewer")
    Execution.objects.update(closed_at=timezone.now())
    poll = element(page(client, story), id="execution-poll")
    address = f"{poll['data-url']}&v={poll['data-version']}"
    assert client.get(address).status_code == 204

    say(story, "last words")
    poll = element(client.get(address).content.decode(), id="execution-poll")
    assert "data-poll" in poll

    Execution.objects.update(closed_at=timezone.now() - timedelta(minutes=1))
    later = re.sub(r"ends=\d+", "ends=1", poll["data-url"])
    answer = client.get(f"{later}&v={poll['data-version']}")
    assert answer.status_code == 200
    assert "data-poll" not in element(answer.content.decode(), id="execution-poll")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_records_stay_texts(log_in: LogIn, hostile: str) -> None:
    fields = {hostile: hostile, "exception": hostile}
    story = say(Story(), hostile, level=hostile[:16], fields=fields, operation_id="1", operation_name=hostile)
    client = log_in("Payload viewer")
    assert executable_parts(page(client, story)) == []
    assert executable_parts(client.get(f"/executions/{story.id}/poll/?tab=logs").content.decode()) == []
