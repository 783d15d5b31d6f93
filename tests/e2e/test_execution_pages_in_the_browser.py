"""The executions list, the execution page and their actions: by mouse, by keys, on a phone, without scripts."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from durable_engine.models import AuditEntry, BulkAction, Execution, LogRecord
from tests.e2e.conftest import SMALLEST, assert_accessible, assert_contrast, assert_sound, log_in
from tests.factories import make_function
from tests.seeds import (
    Story,
    document_that_waits,
    group_of,
    order_that_failed,
    order_that_succeeded,
    payment_in_back_off,
    person,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DEEP = '{"order": {"id": 12345678901234567890123, "items": [{"sku": "S-1"}, {"sku": "S-2"}]}, "note": "gift"}'


def url(story: Story, name: str = "execution-detail", *more: object) -> str:
    return reverse(f"dashboard:{name}", args=[story.id, *more])


def seeded() -> list[str]:
    """Every page and state of this part that has something to show."""
    failed, waiting, backing_off = order_that_failed(), document_that_waits(), payment_in_back_off()
    done = order_that_succeeded(tags={"customer": "acme"}, input_text=DEEP)
    LogRecord.objects.create(
        execution=done.execution,
        position=1,
        at=done.start,
        level="ERROR",
        message="charged",
        operation_id="2",
        operation_name="charge card",
        attempt=2,
        fields='{"exception": "Traceback", "order": "A-7"}',
    )
    good, bad = Story(name="good").step("1", "a", 1, 2), Story(name="bad").step("1", "a", 1, 9)
    good.close("SUCCEEDED", 3, result=1)
    bad.close("FAILED", 10)
    long = Story(began=4000).steps(210, failing=(20,)).wait("421", "settlement", 300, 3000)
    folded = Story(parent_execution_id=done.id, origin_id=failed.id, origin_kind="fork").steps(20, "row")
    make_function("booking-saga", 1)
    make_function("booking-saga", 2)
    return [
        "/executions/?since=7d&tag=customer:acme&waiting=timer",
        "/executions/?status=FAILED",
        "/bulk/",
        url(long),
        f"{url(long, 'execution-timeline')}?start=195&gaps=squeezed",
        f"{url(long, 'execution-steps')}?show=failed",
        f"{url(long, 'execution-steps')}?q=nothing",
        url(folded, "execution-steps"),
        url(folded, "execution-relations"),
        url(done, "execution-data"),
        url(done, "execution-logs"),
        url(failed, "execution-redrive"),
        f"{url(failed, 'execution-history')}?kind=failed&order=newest",
        url(backing_off, "operation-complete", "2"),
        url(failed, "operation-fork", "1-2"),
        f"{url(good, 'execution-compare')}?with={bad.id}",
        url(failed, "execution-compare"),
        url(waiting, "execution-rerun"),
    ]


def test_every_page_of_this_part_is_accessible_in_both_themes_and_fits(page: Page) -> None:
    log_in(page, superuser=True)
    assert_sound(page, seeded())


def test_on_a_phone_events_and_a_comparison_are_read_without_scrolling_sideways(page: Page) -> None:
    earlier, failed = order_that_succeeded(function="booking-saga", began=7200), order_that_failed()
    log_in(page, superuser=True)
    page.set_viewport_size(SMALLEST)
    for address in (url(failed, "execution-history"), f"{url(failed, 'execution-compare')}?with={earlier.id}"):
        page.goto(address)
        tables = page.locator(".table-scroll")
        expect(tables.first).to_be_visible()
        assert tables.evaluate_all("(all) => all.every((each) => each.scrollWidth <= each.clientWidth)"), address


def test_a_failure_is_found_understood_and_redriven(page: Page) -> None:
    order_that_succeeded(name="trip-0", function="booking-saga", began=7200)
    story = order_that_failed(name="trip-1")
    log_in(page, "Operator", "Payload viewer")
    page.goto("/executions/")
    page.get_by_role("navigation", name="Filter by status").get_by_role("link", name="Failed").click()
    page.get_by_role("link", name="trip-1").click()
    page.get_by_role("link", name="Go to the step").click()
    expect(page.locator("#operation-1-2")).to_contain_text("no hotel left")
    page.get_by_role("link", name="Compare with the last success").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Redrive").click()
    dialog = page.get_by_role("dialog", name="Redrive this execution?")
    expect(dialog).to_contain_text("Runs again: book hotel")
    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    assert_contrast(page)
    page.emulate_media(color_scheme="light")
    dialog.get_by_label("Reason").fill("hotel opened")
    dialog.get_by_role("button", name="Redrive execution").click()
    expect(page.get_by_text("this is the one that goes on")).to_be_visible()
    page.get_by_role("link", name="Relations").click()
    expect(page.locator("#relations")).to_contain_text("Redriven from")
    assert AuditEntry.objects.filter(execution_id=story.id).get().reason == "hotel opened"


@pytest.mark.parametrize("width", [1280, 1440])
def test_a_generated_name_stays_in_one_line_beside_a_long_note(page: Page, width: int) -> None:
    Story("onboarding").close("FAILED", 1, message="a long message that says everything " * 8)
    page.set_viewport_size({"width": width, "height": 800})
    log_in(page, "Payload viewer")
    page.goto("/executions/")
    name = page.locator("#execution-rows .row-link .middle")
    expect(name).to_be_visible()
    assert name.evaluate("element => element.getClientRects().length") == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_several_are_ticked_previewed_and_stopped(page: Page) -> None:
    stories = [document_that_waits() for _ in range(3)]
    order_that_succeeded()
    log_in(page, superuser=True)
    page.goto("/executions/")
    ticks = page.locator("[data-tick]")
    ticks.nth(0).check()
    expect(page.get_by_role("button", name="Preview for the ticked ones")).to_be_enabled()
    ticks.nth(2).click(modifiers=["Shift"])
    expect(page.locator("[data-tick-count]")).to_have_text("3 ticked on this page")
    expect(page.locator("[data-live]")).to_have_text("Paused while rows are ticked")
    assert_accessible(page)
    page.get_by_label("Action").select_option("stop")
    page.get_by_role("button", name="Preview for the ticked ones").click()
    expect(page.locator(".preview-act")).to_contain_text("3 would be acted on")
    assert_accessible(page)
    page.get_by_label("Reason").fill("test data")
    page.get_by_role("button", name="Stop 3 of 3").click()
    expect(page.locator("#bulk-head")).to_contain_text("Running")
    page.get_by_role("button", name="Cancel what is left").click()
    expect(page.locator("#bulk-head")).to_contain_text("Cancelled")
    assert BulkAction.objects.get().reason == "test data"
    assert {Execution.objects.get(pk=story.id).status for story in stories} == {"SUSPENDED"}


def test_a_list_and_a_page_by_keys_alone(page: Page) -> None:
    order_that_succeeded(name="first", began=7200)
    order_that_failed(name="second")
    log_in(page, superuser=True)
    page.goto("/executions/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="second")).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator("[data-tick]").first).to_be_checked()
    page.keyboard.press("x")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="first")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator("#execution-head")).to_contain_text("second")
    page.goto("/executions/")
    page.keyboard.press("f")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("jkx?")
    expect(page.get_by_role("searchbox")).to_have_value("jkx?")


def test_single_keys_can_be_turned_off(page: Page) -> None:
    order_that_succeeded(name="first")
    log_in(page, superuser=True)
    page.goto("/executions/")
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Use single keys in this browser").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="first")).not_to_be_focused()


def test_a_value_is_searched_and_its_parts_are_copied(page: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    log_in(page, superuser=True)
    page.goto(url(Story(input_text=DEEP), "execution-data"))
    page.get_by_label("Find in this value").fill("s-2")
    expect(page.locator(".json-found")).to_have_count(1)
    expect(page.locator(".json-string", has_text="gift")).to_be_hidden()
    page.locator(".json-found").click()
    expect(page.locator(".json-path-text")).to_have_text("$.order.items[1].sku")
    page.get_by_role("button", name="Copy path").click()
    assert page.evaluate("navigator.clipboard.readText()") == "$.order.items[1].sku"
    page.get_by_label("Find in this value").fill("")
    page.locator("[data-key='\"order\"'] > details > summary").click(position={"x": 60, "y": 8})
    page.get_by_role("button", name="Copy value").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == '{"id": 12345678901234567890123, "items": [{"sku": "S-1"}, {"sku": "S-2"}]}'
    page.get_by_role("button", name="Raw", exact=True).click()
    expect(page.locator(".payload pre")).to_be_visible()
    assert_accessible(page)


def test_a_menu_says_why_an_action_does_not_apply_and_closes_with_escape(page: Page) -> None:
    log_in(page, superuser=True)
    page.goto(url(document_that_waits()))
    page.get_by_label("More actions").click()
    expect(page.get_by_text("only one that has ended can be deleted")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_text("only one that has ended can be deleted")).to_be_hidden()


def test_a_live_page_of_very_many_steps_keeps_following_its_end(page: Page) -> None:
    log_in(page, superuser=True)
    story = Story(began=500).steps(300)
    page.goto(url(story, "execution-steps"))
    expect(page.get_by_text("200 operations not shown here")).to_be_visible()
    story.step("301", "the newest", 400, 401)
    expect(page.locator("#operation-301")).to_contain_text("the newest")
    page.get_by_role("link", name="operations not shown here").click()
    expect(page.locator("#operation-51")).to_be_visible()
    page.get_by_role("link", name="Later").click()
    expect(page.get_by_text("151 to 250 of 301")).to_be_visible()


def test_views_are_kept_and_followed(page: Page) -> None:
    order_that_failed(name="trip-1")
    order_that_succeeded(name="order-1")
    log_in(page, "Viewer")
    page.goto("/executions/?status=FAILED")
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Keep these filters as").fill("What failed")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("The view “What failed” is kept.")).to_be_visible()
    page.goto("/executions/")
    page.get_by_text("Views", exact=True).click()
    page.get_by_role("link", name="What failed").click()
    expect(page).to_have_url(re.compile(r"\?status=FAILED$"))
    expect(page.locator("#views-menu > summary")).to_contain_text("What failed")


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus, which it shows."""
    expect(target).to_be_visible()
    for _ in range(100):
        page.keyboard.press("Tab")
        if target.evaluate("each => each === document.activeElement && each.matches(':focus-visible')"):
            return
    raise AssertionError(f"Tab does not reach {target}")


def test_from_the_login_to_the_redriven_execution_by_keyboard_alone(page: Page) -> None:
    story = order_that_failed(name="trip-1")
    group_of("booking-saga", story)
    person("ana", "Operator", "Payload viewer")
    page.goto("/login/")
    page.keyboard.type("ana")
    tab_to(page, page.get_by_label("Password"))
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    tab_to(page, page.get_by_role("link", name="Skip to the content"))
    page.keyboard.press("Enter")
    tab_to(page, page.locator("#failing").get_by_role("link", name="NothingAvailable"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="trip-1", exact=True).last)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Go to the step"))
    page.keyboard.press("Enter")
    expect(page.locator("#operation-1-2")).to_contain_text("no hotel left")
    tab_to(page, page.get_by_role("link", name="Redrive"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Redrive this execution?")
    tab_to(page, dialog.get_by_label("Reason"))
    page.keyboard.type("hotel opened")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Redrive")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, dialog.get_by_label("Reason"))
    page.keyboard.type("hotel opened again")
    tab_to(page, dialog.get_by_role("button", name="Redrive execution"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("this is the one that goes on")).to_be_visible()
    assert AuditEntry.objects.filter(execution_id=story.id).get().reason == "hotel opened again"


def test_reading_filtering_starting_stopping_and_retrying_need_no_javascript(
    page: Page, context: BrowserContext, live_server: LiveServer
) -> None:
    log_in(page, superuser=True)
    failed, waiting, backing_off = order_that_failed(name="trip-1"), document_that_waits(), payment_in_back_off()
    plain = context.browser.new_context(  # type: ignore[union-attr]
        base_url=live_server.url,
        java_script_enabled=False,
        storage_state=context.storage_state(),
    )
    quiet = plain.new_page()
    # Read and filter.
    quiet.goto("/executions/")
    quiet.get_by_label("Function", exact=True).select_option("document-approval")
    quiet.get_by_role("button", name="Filter").click()
    expect(quiet.locator("#execution-rows tr")).to_have_count(1)
    quiet.get_by_role("link", name="Function: document-approval").click()
    expect(quiet.locator("#execution-rows tr")).to_have_count(3)
    quiet.get_by_role("searchbox").fill("trip")
    quiet.keyboard.press("Enter")
    quiet.get_by_role("link", name="trip-1").click()
    quiet.get_by_role("link", name="Show the input").click()
    expect(quiet.locator(".json-string", has_text="A-1001")).to_be_visible()
    quiet.goto(url(failed, "execution-steps"))
    quiet.locator("#operation-1-1 summary").click()
    quiet.locator("#operation-1-1").get_by_role("link", name="Show the result").click()
    expect(quiet.get_by_text("flight-1")).to_be_visible()
    # Many at once.
    quiet.goto("/executions/?status=FAILED")
    quiet.locator("[data-tick]").first.check()
    quiet.get_by_label("Action").select_option("redrive")
    quiet.get_by_role("button", name="Preview for the ticked ones").click()
    expect(quiet.locator(".preview-act")).to_contain_text("1 would be acted on")
    # Start, stop, retry, redrive.
    quiet.goto("/functions/")
    quiet.get_by_role("link", name="Start order-processing").click()
    quiet.get_by_role("button", name="Start execution").click()
    expect(quiet.get_by_role("heading", name="order-processing")).to_be_visible()
    quiet.goto(url(waiting))
    quiet.get_by_role("link", name="Stop").click()
    quiet.get_by_label("Reason").fill("ordered twice")
    quiet.get_by_role("button", name="Stop execution").click()
    expect(quiet.get_by_text("The execution was stopped.")).to_be_visible()
    quiet.goto(url(backing_off, "execution-steps"))
    quiet.get_by_role("link", name="Retry now").click()
    quiet.get_by_role("button", name="Retry now").click()
    expect(quiet.get_by_text("The next attempt starts now.")).to_be_visible()
    quiet.goto(url(failed))
    quiet.get_by_role("link", name="Redrive").click()
    quiet.get_by_role("button", name="Redrive execution").click()
    expect(quiet.get_by_text("this is the one that goes on")).to_be_visible()
    # Decide.
    request = document_that_waits()
    quiet.goto(reverse("approvals:callback-decide", args=[request.id, "2"]))
    quiet.get_by_role("button", name="Reject").click()
    expect(quiet.get_by_text("You rejected it.")).to_be_visible()
    plain.close()


def test_places_of_a_long_timeline_are_gone_through_without_loading_the_page(page: Page) -> None:
    log_in(page, superuser=True)
    page.goto(url(Story(began=10_000).steps(900), "execution-timeline"))
    page.evaluate("document.body.dataset.same = 'yes'")
    page.locator(".minimap a").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".pager-range")).to_contain_text("of 900")
    first = page.locator(".pager-range").inner_text()
    page.get_by_role("link", name="Earlier").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".pager-range")).not_to_have_text(first)
    expect(page.get_by_role("link", name="Earlier")).to_be_focused()
    expect(page.locator("#announcement")).to_contain_text("of 900")
    expect(page.locator("body")).to_have_attribute("data-same", "yes")
    page.go_back()
    expect(page.locator(".pager-range")).to_have_text(first)
