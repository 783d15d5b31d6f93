import json
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.payloads import MOST_SHOWN, indented, shown
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.seeds import Story, order_that_failed, order_that_succeeded

FRAGMENT = {"HX-Request": "true"}


def addresses(story: Story) -> list[str]:
    return [
        reverse("dashboard:execution-input", args=[story.id]),
        reverse("dashboard:execution-result", args=[story.id]),
        reverse("dashboard:operation-result", args=[story.id, "2"]),
        reverse("dashboard:event-data", args=[story.id, 3]),
    ]


def test_input_result_and_step_results_are_fetched_one_by_one(log_in: Callable[..., Client]) -> None:
    client = log_in("Payload viewer")
    expected = ("A-1001", "confirmed", "p-77", "42.5")
    for address, text in zip(addresses(order_that_succeeded()), expected, strict=True):
        assert text in client.get(address, headers=FRAGMENT).content.decode()
        # Without a script the same address is a whole page.
        assert "<main" in client.get(address).content.decode()


def test_the_error_that_ended_an_execution_comes_with_its_stack(log_in: Callable[..., Client]) -> None:
    address = reverse("dashboard:execution-result", args=[order_that_failed().id])
    html = log_in("Payload viewer").get(address, headers=FRAGMENT).content.decode()
    assert "NothingAvailable" in html
    assert "durable_functions.py" in html


@pytest.mark.parametrize("group", ["Viewer", "Operator", "Approver"])
def test_payloads_need_their_own_right(log_in: Callable[..., Client], group: str) -> None:
    story = order_that_succeeded()
    client = log_in(group)
    for address in addresses(story):
        assert client.get(address).status_code == 403
    for tab in ("execution-detail", "execution-steps", "execution-history"):
        html = client.get(reverse(f"dashboard:{tab}", args=[story.id])).content.decode()
        assert "A-1001" not in html
        assert "p-77" not in html


def test_anonymous_people_get_no_payload(client: Client, db: None) -> None:
    for address in addresses(order_that_succeeded()):
        assert client.get(address).status_code == 302


def test_what_is_not_there_is_404(log_in: Callable[..., Client]) -> None:
    story = Story()
    client = log_in("Payload viewer")
    for name, more in (
        ("execution-result", ()),
        ("operation-result", ("9",)),
        ("event-data", (99,)),
        ("event-data", (0,)),
    ):
        assert client.get(reverse(f"dashboard:{name}", args=[story.id, *more])).status_code == 404


def test_a_download_is_the_stored_text_and_never_a_page(log_in: Callable[..., Client]) -> None:
    text = '{"html": "<script>alert(1)</script>",  "big": 123456789012345678901234567890}'
    story = Story(input_text=text)
    response = log_in("Payload viewer").get(reverse("dashboard:execution-input", args=[story.id]), {"download": ""})
    assert response.content.decode() == text
    assert response["Content-Type"] == "application/json"
    assert response["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_payloads_stay_texts(log_in: Callable[..., Client], hostile: str) -> None:
    story = Story(input_text=json.dumps({hostile: hostile}))
    story.close("FAILED", 1, type=hostile, message=hostile, stack=(hostile,))
    client = log_in("Payload viewer")
    for name in ("execution-input", "execution-result"):
        for headers in ({}, FRAGMENT):
            html = client.get(reverse(f"dashboard:{name}", args=[story.id]), headers=headers).content.decode()
            assert executable_parts(html) == []


def test_indenting_keeps_every_token_as_it_was_stored() -> None:
    text = '{"n":1.10,"big":123456789012345678901234567890,"n":2,"e":1e400,"t":"a, b: {c} \\" d","l":[],"o":{}}'
    result = indented(text)
    assert '"n": 1.10,' in result
    assert '"big": 123456789012345678901234567890,' in result
    assert '"n": 2,' in result
    assert '"e": 1e400,' in result
    assert '"t": "a, b: {c} \\" d",' in result
    assert '"l": [],' in result
    assert '"o": {}\n' in result


def test_what_is_no_json_is_shown_as_it_is() -> None:
    assert shown("pickled by hand:  {a   b}").text == "pickled by hand:  {a   b}"


def test_a_large_payload_is_cut_and_says_so() -> None:
    payload = shown(json.dumps("x" * (MOST_SHOWN + 100)))
    assert payload.cut
    assert len(payload.text) == MOST_SHOWN
    assert payload.size == MOST_SHOWN + 102
