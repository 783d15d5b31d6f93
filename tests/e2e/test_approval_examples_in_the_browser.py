"""The approval examples played through by several people, on desktop and phone, without JavaScript.

Each ends with its execution in the right end state, and with a history that says who, when, and what they saw. One
test plays them all: the processes start once, and everybody logs in once.
"""

import json
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from approvals.models import ApprovalEvent, ApprovalRequest
from durable_engine import client as engine_client
from durable_engine.models import Event, Execution
from tests.e2e.conftest import DESKTOP, PHONE, assert_fits
from tests.processes import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.timeout(400)]

SIZES = (DESKTOP, PHONE)
PASSWORD = "sample-people"


class People:
    """Browsers of several people, each logged in by the form, none with JavaScript."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url, self.size = browser, url, DESKTOP
        self.pages: dict[str, Page] = {}

    def page(self, name: str) -> Page:
        """The page of a person; they log in the first time."""
        if name not in self.pages:
            context = self.browser.new_context(base_url=self.url, java_script_enabled=False)
            context.set_default_timeout(30_000)
            page = self.pages[name] = context.new_page()
            page.goto("/login/")
            page.get_by_label("Username").fill(name)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            # People who only decide are led to what waits for them.
            expect(page.get_by_role("heading", name="Approvals", level=1)).to_be_visible()
        self.pages[name].set_viewport_size(self.size)
        return self.pages[name]

    def open(self, name: str, request: ApprovalRequest, box: str = "groups") -> Page:
        """Go to a request by the inbox, as people do."""
        page = self.page(name)
        page.goto(f"/approvals/inbox/{box}/")
        page.locator(f"a[href='/approvals/requests/{request.pk}/']").click()
        expect(page.get_by_role("heading", name=request.title, level=1)).to_be_visible()
        assert_fits(page)
        return page

    def press(self, name: str, button: str) -> Page:
        """Press a button of the open page and read what is said."""
        page = self.page(name)
        page.get_by_role("button", name=button, exact=True).click()
        return page

    def read_history(self, name: str, request: ApprovalRequest, *sentences: str) -> None:
        """Read all of a request's history, oldest first: who did what, when, and which content they saw."""
        page = self.page(name)
        page.goto(f"/approvals/requests/{request.pk}/")
        page.get_by_role("link", name="All of it, with what was seen").click()
        rows = page.get_by_role("region", name="Events").get_by_role("row").filter(has=page.locator("time"))
        expect(rows).to_have_count(len(sentences))
        events = ApprovalEvent.objects.filter(request=request).order_by("seq")
        for index, (event, sentence) in enumerate(zip(events, sentences, strict=True)):
            tell(rows.nth(index), event, sentence)
        assert_fits(page)

    def close(self) -> None:
        """Close every browser."""
        for page in self.pages.values():
            page.context.close()


def tell(row: Locator, event: ApprovalEvent, sentence: str) -> None:
    """Assert that a line of the history says this, its moment, and the content that was seen with an answer."""
    expect(row).to_contain_text(sentence)
    expect(row.locator("time")).to_have_attribute("datetime", event.at.isoformat())
    if event.kind in ("OPENED", "VOTED"):
        assert event.data["digest"] == event.request.digest
        expect(row).to_contain_text(event.request.digest)


def start(function: str, **values: Any) -> UUID:
    return UUID(str(engine_client.start_execution(function, values).id))


def asked(execution_id: UUID, name: str) -> ApprovalRequest:
    """The request of that name, once the handler has opened it."""
    rows = ApprovalRequest.objects.filter(execution_id=execution_id, name=name)
    wait_for(rows.exists, f"the request {name}", seconds=40)
    return rows.get()


def result_of(execution_id: UUID) -> dict[str, Any]:
    """What the execution returned, once it has."""
    rows = Execution.objects.filter(pk=execution_id, closed_at__isnull=False)
    wait_for(rows.exists, "the end of the execution", seconds=60)
    assert rows.get().status == "SUCCEEDED"
    text = Event.objects.get(execution_id=execution_id, event_type="ExecutionSucceeded").payload
    found: dict[str, Any] = json.loads(text or "null")
    return found


def test_every_example_is_played_through_by_its_people(engine: None, browser: Browser, live_server: LiveServer) -> None:
    call_command("make_sample_people", password=PASSWORD)
    cast = People(browser, live_server.url)
    for cast.size in SIZES:
        for play in (expense, document, access, draft):
            play(cast)
    cast.close()


def expense(cast: People) -> None:
    """An expense climbs as far as its amount asks."""
    large, small = (
        start("expense-approval", amount="24000.00"),
        start("expense-approval", amount="80.00", purpose="Cake"),
    )
    manager = asked(large, "manager")
    page = cast.open("mia", manager)
    page.get_by_label("Granted amount (EUR)").fill("0")
    cast.press("mia", "Approve")
    expect(page.get_by_role("heading", name="Please check what you wrote")).to_be_visible()
    page.get_by_label("Granted amount (EUR)").fill("12500")
    page.get_by_label("Cost centre").select_option("4100 Travel")
    expect(cast.press("mia", "Approve").get_by_text("You approved")).to_be_visible()
    director = asked(large, "director")
    assert "12500" in director.title, "the granted amount decides, not what was asked for"
    cast.open("dora", director)
    cast.press("dora", "Approve")
    cfo = asked(large, "cfo")
    page = cast.open("cleo", cfo)
    expect(cast.press("cleo", "Reject").get_by_text("Say why.").first).to_be_visible()
    page.get_by_label("Comment").fill("not this year")
    cast.press("cleo", "Reject")
    result = result_of(large)
    assert (result["outcome"], result["by"], result["comment"]) == ("rejected", "cleo", "not this year")
    assert result["payment"] is None
    cast.read_history(
        "mia", manager, "Opened; asked: managers", "mia answered: Approve", "Approved, with the answer of mia"
    )
    cast.read_history("cleo", cfo, "Opened; asked: cfo", "cleo answered: Reject", "Rejected, with the answer of cleo")

    page = cast.open("milan", asked(small, "manager"))
    page.get_by_label("Cost centre").select_option("4200 Training")
    cast.press("milan", "Approve")
    assert result_of(small)["payment"] == "transfer of 80.00 EUR to sam"


def document(cast: People) -> None:
    """A document goes back to its author, and a question stops the clock."""
    execution_id = start("document-review")
    first = asked(execution_id, "review 1")
    page = cast.open("eva", first)
    page.get_by_label("Your text").fill("Which fixes are meant?")
    cast.press("eva", "Ask sam")
    expect(page.get_by_text("Question open")).to_be_visible()
    author = cast.open("sam", first, "waiting")
    expect(author.get_by_text("Which fixes are meant?")).to_be_visible()
    author.get_by_label("Your text").fill("Those of the login.")
    cast.press("sam", "Send reply")
    page = cast.open("eva", first)
    expect(page.get_by_text("Those of the login.")).to_be_visible()
    page.get_by_label("Comment").fill("Name them, please.")
    cast.press("eva", "Ask for changes")
    changes = asked(execution_id, "changes 1")
    author = cast.open("sam", changes, "mine")
    expect(author.get_by_text("Name them, please.")).to_be_visible()
    author.get_by_label("New version").fill("Faster start, **login** fixes.")
    cast.press("sam", "Send the new version")
    second = asked(execution_id, "review 2")
    page = cast.open("emil", second)
    expect(page.locator(".prose strong")).to_have_text("login")
    cast.press("emil", "Publish")
    result = result_of(execution_id)
    assert (result["outcome"], result["rounds"], result["by"]) == ("approved", 2, "emil")
    assert result["published"] == "published/release-notes-4.2"
    cast.read_history(
        "eva",
        first,
        "Opened; asked: editors",
        "eva asked the requester a question",
        "sam replied",
        "eva answered: Ask for changes",
        "Answered, with the answer of eva",
    )
    cast.read_history(
        "emil", second, "Opened; asked: editors", "emil answered: Publish", "Approved, with the answer of emil"
    )


def access(cast: People) -> None:
    """Access takes two people and is revoked by a durable wait."""
    execution_id = start("access-request", seconds=1)
    request = asked(execution_id, "access")
    page = cast.open("sina", request)
    expect(page.get_by_text("2 people have to agree. 0 have so far.")).to_be_visible()
    expect(cast.press("sina", "Grant").get_by_text("More people are awaited.")).to_be_visible()
    page.goto(f"/approvals/requests/{request.pk}/")
    expect(page.get_by_text("You have answered. The others are awaited.")).to_be_visible()
    own = cast.open("sam", request, "waiting")
    expect(own.get_by_text("You asked for this, so others decide.")).to_be_visible()
    cast.open("sven", request)
    cast.press("sven", "Grant")
    result = result_of(execution_id)
    assert (result["outcome"], result["people"]) == ("granted and revoked", ["sina", "sven"])
    steps = Event.objects.filter(execution_id=execution_id, event_type="StepSucceeded").order_by("event_id")
    assert list(steps.values_list("name", flat=True))[-2:] == ["grant", "revoke"]
    cast.read_history(
        "sam",
        request,
        "Opened; asked: security",
        "sina answered: Grant",
        "sven answered: Grant",
        "Approved, with the answer of sven",
    )


def draft(cast: People) -> None:
    """A machine's draft is corrected by a person."""
    execution_id = start("ai-draft")
    page = cast.open("eva", asked(execution_id, "edit 1"))
    page.get_by_label("Comment").fill("say where the parcel is")
    cast.press("eva", "Write it again")
    last = asked(execution_id, "edit 2")
    page = cast.open("eva", last)
    reply = page.get_by_label("Reply", exact=True)
    assert "say where the parcel is" in reply.input_value()
    reply.fill("Dear Ms Okafor, it arrives today.")
    cast.press("eva", "Send")
    result = result_of(execution_id)
    assert (result["outcome"], result["drafts"], result["editor"], result["edited"]) == ("sent", 2, "eva", True)
    assert result["text"] == "Dear Ms Okafor, it arrives today."
    cast.read_history("eva", last, "Opened; asked: editors", "eva answered: Send", "Approved, with the answer of eva")
