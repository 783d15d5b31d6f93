"""Histories as files: what is downloaded can be looked at again, and what is no history is told why."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import words
from tests.seeds import Story, order_that_failed, payment_in_back_off

LogIn = Callable[..., Client]
VIEW = "/histories/"
START = {"EventType": "ExecutionStarted", "EventId": 1, "EventTimestamp": 1_790_000_000.25}


def show(client: Client, content: bytes | str) -> Any:
    data = content.encode() if isinstance(content, str) else content
    return client.post(VIEW, {"file": SimpleUploadedFile("history.json", data)})


def events(*more: dict[str, object]) -> str:
    return json.dumps({"Events": [START, *more]})


@pytest.mark.parametrize("make", [order_that_failed, payment_in_back_off])
def test_what_is_downloaded_can_be_looked_at_again(log_in: LogIn, make: Callable[[], Story]) -> None:
    story = make()
    client = log_in("Payload viewer")
    file = client.get(reverse("dashboard:execution-history-file", args=[story.id])).getvalue()
    html = words(show(client, file).content.decode())
    assert str(story.id) in html
    for event in ("ExecutionStarted", "StepFailed", "InvocationCompleted"):
        assert event in html
    assert "CardDeclined" in html or "NothingAvailable" in html
    assert 'class="timeline-row"' in html


def test_the_answer_of_the_aws_command_line_is_read_with_its_times_as_numbers(log_in: LogIn) -> None:
    step = {"EventType": "StepStarted", "EventId": 2, "Id": "1", "Name": "charge", "EventTimestamp": 1_790_000_001}
    done = {**step, "EventType": "StepSucceeded", "EventId": 3, "EventTimestamp": 1_790_000_004.5}
    html = words(show(log_in("Viewer"), events(step, done)).content.decode())
    assert "charge" in html
    assert "3.5 s" in html


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("not json", "no JSON"),
        (b"\xff\xfe", "no UTF-8"),
        ("[]", "no list"),
        ('{"Events": []}', "at least one event"),
        ('{"Events": [7]}', "Events[0] is no object"),
        (events({"EventType": "Nonsense", "EventId": 2}), "Events[1].EventType"),
        (events({"EventType": "StepStarted", "EventId": "2"}), "Events[1].EventId"),
        (events({"EventType": "StepStarted", "EventId": 2, "EventTimestamp": "soon"}), "Events[1].EventTimestamp"),
        (events({"EventType": "StepStarted", "EventId": 2, "Id": 7, "EventTimestamp": 1}), "Events[1].Id"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_history_is_refused_with_the_place_and_the_reason(
    log_in: LogIn, content: bytes | str, problem: str
) -> None:
    response = show(log_in("Viewer"), content)
    assert response.status_code == 422
    assert problem in response.content.decode()


def test_a_form_without_a_file_asks_for_one(log_in: LogIn) -> None:
    response = log_in("Viewer").post(VIEW)
    assert response.status_code == 422
    assert "Choose a file." in response.content.decode()


def test_the_page_is_reached_from_a_history_and_needs_the_right(log_in: LogIn) -> None:
    story = order_that_failed()
    client = log_in("Viewer")
    assert f'href="{VIEW}"' in client.get(reverse("dashboard:execution-history", args=[story.id])).content.decode()
    assert client.get(VIEW).status_code == 200
    stranger = log_in()
    assert stranger.get(VIEW).status_code == 403
    assert stranger.post(VIEW).status_code == 403


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    about = {"Id": hostile, "Name": hostile, "EventTimestamp": 1_790_000_001}
    error = {"Payload": {"ErrorType": hostile, "ErrorMessage": hostile, "StackTrace": [hostile]}}
    failed = {"EventType": "StepFailed", "EventId": 2, "StepFailedDetails": {"Error": error}, **about}
    document = json.dumps({hostile: hostile, "Events": [START, failed]})
    client = log_in("Viewer")
    assert executable_parts(show(client, document).content.decode()) == []
    assert executable_parts(show(client, json.dumps({"Events": [{"EventType": hostile}]})).content.decode()) == []
