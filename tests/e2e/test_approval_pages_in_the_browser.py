"""The pages of approvals in a browser: accessible in every state, fitting a phone, and kind when somebody was first."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, ViewportSize, expect

from approvals import Choice, Group
from approvals import User as Person
from approvals.models import ApprovalRequest, ApprovalTimer
from approvals.services.absences import start_absence, start_delegation
from approvals.services.decisions import break_glass
from approvals.services.drafts import save_draft
from approvals.services.links import make_link
from approvals.services.requests import (
    ask_requester,
    claim_request,
    comment_on_request,
    delegate_request,
    withdraw_request,
)
from approvals.sweeps.timers import tick
from durable_engine import Duration
from tests.approvals.people import opened, user, vote
from tests.e2e.conftest import DESKTOP, PHONE, Complaints, assert_accessible, assert_fits, assert_sound, give_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "An-unbroken-title-" + "x" * 150
FORM = {
    "type": "object",
    "properties": {
        "granted": {"type": "string", "format": "decimal", "title": "Granted amount", "x-currency": "EUR"},
        "centre": {"type": "string", "enum": ["4100", "4200"], "title": "Cost centre"},
        "parts": {"type": "array", "items": {"enum": ["travel", "hotel"]}, "title": "Parts"},
        "until": {"type": "string", "format": "date", "description": "When it has to be paid."},
        "agreed": {"type": "boolean", "title": "The budget was checked"},
        "receipt": {"type": "string", "format": "file"},
        "why": {"type": "string", "format": "textarea"},
    },
    "required": ["granted", "parts"],
}
DETAILS = {
    "order": {
        "id": "A-7",
        "link": "https://example.com/orders/A-7",
        "lines": [{"item": "mug " * 9, "price": 12.5}] * 3,
    },
    "iban": "DE" + "0" * 60,
    "note": "line\n" * 6,
}
DESCRIPTION = (
    "# Please check\n\n| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n\n`code` and\n\n```\nblock " + "x" * 120 + "\n```"
)


def url(request: ApprovalRequest, name: str = "detail") -> str:
    return reverse(f"approvals:request-{name}", args=[request.pk])


def log_in_as(page: Page, name: str = "ana") -> User:
    """Make somebody of finance who supervises and may decide alone, and is logged in."""
    person = user(name, "finance", rights=["supervise_approvalrequest", "break_glass", "view_approvalrequest"])
    give_session(page, person)
    return person


def seeded(ana: User) -> list[str]:
    """Fill the database with what pages differ by, and return their addresses."""
    ben, sam = user("ben", "finance"), user("sam")
    rich = opened(title=LONG, description=DESCRIPTION, details=DETAILS, form=FORM, requester="sam", quorum=2)
    vote(rich, ben, data={"granted": "1", "parts": ["hotel"]}, comment="Looks right to me.")
    comment_on_request(rich.pk, actor=sam, text="Thank you. " * 30)
    plain = opened(title="Buy mugs", bulk=True, due=Duration.from_hours(5), expires=Duration.from_days(2))
    asked = opened(title="Question open", requester="sam")
    ask_requester(asked.pk, actor=ben, text="Which one?")
    done = opened(title="Done", choices=[Choice.approve(), Choice.reject(comment="required")])
    vote(done, ana, "reject", comment="not this year")
    late = opened(title="Late")
    ApprovalRequest.objects.filter(pk=late.pk).update(
        due_at=timezone.now() - timedelta(hours=3), health="UNSATISFIABLE", health_reason="nobody is left"
    )
    start_absence(actor=ana, starts_at=None, ends_at=timezone.now() + timedelta(days=3), substitute="ben", note="Porto")
    start_delegation(actor=ben, to="ana", functions=["orders"], reason="parental leave")
    link = opened(title="By link", link="confirm")
    others = states_of(ana, ben)
    return [
        "/approvals/",
        *(reverse("approvals:inbox-box", args=[box]) for box in ("groups", "waiting", "delegated", "done")),
        "/approvals/inbox/groups/?q=nothing&due=overdue",
        *(url(each) for each in (rich, plain, asked, done, late, *others)),
        *(url(rich, name) for name in ("history", "delegate", "reassign", "extend", "withdraw", "break-glass")),
        f"/approvals/bulk/?id={plain.pk}&id={rich.pk}",
        "/approvals/bulk/",
        "/approvals/team/",
        "/approvals/team/open/",
        "/approvals/away/",
        "/approvals/preferences/",
        "/approvals/callbacks/",
        reverse("approvals:link", args=[make_link(link, ben.pk)]),
        reverse("approvals:link", args=["x" * 43]),
    ]


def states_of(ana: User, ben: User) -> list[ApprovalRequest]:
    """A request in each of the other states in which its page says something of its own to ana."""
    held, taken, own = opened(title="Held"), opened(title="Taken"), opened(title="Own", requester="ana")
    claim_request(held.pk, actor=ana)
    claim_request(taken.pk, actor=ben)
    answered, drafted = opened(title="Answered", quorum=2), opened(title="Drafted", form=FORM)
    vote(answered, ana)
    save_draft(drafted.pk, actor=ana, data={"granted": "1", "parts": ["hotel"]}, comment="half a thought")
    filled, withdrawn = opened(title="Filled in", form=FORM), opened(title="Withdrawn", requester="ana")
    vote(filled, ben, data={"granted": "1", "parts": ["hotel"], "agreed": True}, comment="Fine.")
    withdraw_request(withdrawn.pk, actor=ana, reason="ordered twice")
    expired, emergency = opened(title="Expired", expires=Duration.from_days(1)), opened(title="Emergency")
    ApprovalTimer.objects.filter(request=expired).update(fire_at=timezone.now())
    tick()
    choice = {"choice": "approve", "operation_id": uuid4().hex, "digest": emergency.digest}
    break_glass(emergency.pk, actor=ana, reason="fire", **choice)
    # Sent on by somebody who is asked as well, so that ana chooses for whom she answers.
    seats = opened(title="For whom", assignees=[Group("finance"), Person("sam")])
    delegate_request(seats.pk, actor=User.objects.get(username="sam"), to="ana")
    return [held, taken, own, answered, drafted, filled, withdrawn, expired, emergency, seats]


def test_every_page_is_accessible_in_both_themes_and_fits(page: Page, complaints: Complaints) -> None:
    complaints.expect("status of 4(03|10)")
    assert_sound(page, seeded(log_in_as(page)))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_errors_and_conflicts_are_accessible_and_take_the_focus(
    page: Page, complaints: Complaints, size: ViewportSize
) -> None:
    complaints.expect("status of 4(22|09)")
    page.set_viewport_size(size)
    log_in_as(page)
    request = opened(title="Buy mugs", form=FORM)
    page.goto(url(request))
    page.get_by_label("Why").fill("because")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title("Error: Buy mugs · Approvals · Perdure")
    # What is announced, and what is said at the field itself.
    expect(page.get_by_role("alert")).to_match_aria_snapshot(
        """
        - alert "Please check what you wrote":
          - heading "Please check what you wrote" [level=2]
          - list:
            - listitem:
              - link /Granted amount/
            - listitem:
              - link /Parts/
        """
    )
    expect(page.get_by_label("Granted amount")).to_have_accessible_description("This field is required.")
    expect(page.get_by_label("Granted amount")).to_have_attribute("aria-invalid", "true")
    assert_accessible(page)
    assert_fits(page)
    page.get_by_role("link", name="Granted amount").click()
    expect(page.get_by_label("Granted amount")).to_be_focused()
    page.get_by_role("link", name="Parts").click()
    expect(page.get_by_role("group", name="Parts")).to_be_focused()
    # Somebody else decides while this page is open.
    vote(request, user("ben", "finance"), data={"granted": "1", "parts": ["hotel"]})
    page.get_by_label("Granted amount").fill("5")
    page.get_by_label("travel").check()
    page.get_by_label("Comment").fill("typed with care")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("ben approved this")
    expect(page.get_by_label("Comment")).to_have_value("typed with care")
    expect(page.get_by_label("Why")).to_have_value("because")
    assert_accessible(page)
    assert_fits(page)
    page.get_by_role("button", name="Keep my comment in the history").click()
    expect(page.get_by_text("Your comment was added.")).to_be_visible()


def test_an_open_page_says_that_something_has_happened_and_leaves_what_is_typed(page: Page) -> None:
    log_in_as(page)
    request = opened(title="Buy mugs", quorum=1)
    page.goto(url(request))
    comment = page.get_by_label("Comment", exact=False).first
    comment.fill("half a thought")
    vote(request, user("ben", "finance"))
    # Nothing on the page changes under somebody who types.
    page.get_by_role("heading", name="Buy mugs").click()
    told = page.locator("#request-changed")
    expect(told).to_contain_text("Approved, with the answer of ben")
    expect(told).to_have_attribute("aria-live", "polite")
    expect(comment).to_have_value("half a thought")


def test_an_answer_by_keyboard_alone(page: Page) -> None:
    log_in_as(page)
    request = opened(title="Buy mugs")
    page.goto("/approvals/inbox/groups/")
    page.get_by_role("link", name="Buy mugs").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Comment", exact=False).first.focus()
    page.keyboard.type("read it twice")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("You approved “Buy mugs”.")).to_be_visible()
    assert ApprovalRequest.objects.get(pk=request.pk).state == "APPROVED"


def test_several_are_ticked_in_the_inbox_and_approved_together(page: Page) -> None:
    log_in_as(page)
    for title in ("first", "second", "third"):
        opened(title=title, bulk=True)
    page.set_viewport_size(PHONE)
    page.goto("/approvals/inbox/groups/")
    for title in ("first", "third"):
        page.get_by_label(f"Choose {title}").check()
    page.get_by_role("button", name="Review the chosen ones together").click()
    page.get_by_role("button", name="Approve the ticked ones").click()
    expect(page.get_by_text("2 answers count.")).to_be_visible()
    states = dict(ApprovalRequest.objects.values_list("title", "state"))
    assert states == {"first": "APPROVED", "second": "PENDING", "third": "APPROVED"}


FOCUSED = """() => {
  const each = document.activeElement;
  return (each.labels?.[0] ?? each).innerText.replace(/\\s+/g, " ").trim();
}"""


def tabbed_until(page: Page, last: str) -> list[str]:
    """Press the tab key until something is reached; return the labels on the way. A date has several stops."""
    found: list[str] = []
    for _ in range(100):
        page.keyboard.press("Tab")
        label = str(page.evaluate(FOCUSED))
        found += [label] if found[-1:] != [label] else []
        if label == last:
            return found
    raise AssertionError(f"{last} is not reached: {found}")


def test_a_screen_reader_meets_a_request_in_the_order_of_the_page(page: Page) -> None:
    log_in_as(page)
    request = opened(
        title="Buy mugs",
        description="# Please check",
        details={"lines": [{"item": "mug", "price": 12.5}]},
        form=FORM,
        choices=[Choice.approve(), Choice.reject(comment="required")],
        due=Duration.from_hours(5),
    )
    page.goto(url(request))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert tabbed_until(page, "Save as draft")[-12:] == [
        "Granted amount (EUR)",
        "Cost centre (optional)",
        "travel",
        "hotel",
        "Until (optional)",
        "The budget was checked",
        "Receipt (optional)",
        "Why (optional)",
        "Comment (optional)",
        "Approve",
        "Reject",
        "Save as draft",
    ]
    # What docs/approvals/accessibility.md says.
    expect(page.get_by_role("main")).to_match_aria_snapshot(
        """
        - main:
          - heading "Buy mugs" [level=1]
          - paragraph:
            - text: Open due
            - time: in 4 hours
          - region "What is asked":
            - heading "Please check" [level=3]
            - term: Lines
            - definition:
              - group "Table":
                - table:
                  - rowgroup:
                    - row "Item Price"
          - region "Your decision":
            - spinbutton "Granted amount (EUR)"
            - combobox "Cost centre (optional)"
            - group "Parts":
              - checkbox "travel"
              - checkbox "hotel"
            - textbox "Until (optional)"
            - checkbox "The budget was checked"
            - textbox "Why (optional)"
            - textbox "Comment (optional)"
            - button "Approve"
            - button "Reject"
            - button "Save as draft"
          - complementary "About this request":
            - region "At a glance"
            - region "Who decides"
          - region "Discussion":
            - textbox "Your text"
          - region "History"
        """
    )
    reject = page.get_by_role("button", name="Reject")
    expect(reject).to_have_accessible_description("“Reject” asks for a comment.")
    expect(page.get_by_label("Until")).to_have_accessible_description("When it has to be paid.")
