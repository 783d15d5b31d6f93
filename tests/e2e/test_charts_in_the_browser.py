"""The charts are drawn under the content security policy, lead where they say, and need no script to be read."""

from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from durable_engine.models import Rollup
from tests.e2e.conftest import DESKTOP, PHONE, Complaints, assert_accessible, assert_contrast, assert_fits, log_in
from tests.seeds import Story, order_that_failed, order_that_succeeded

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# What the bundle says about the style sheet that it may not add.
STYLE_REPORT = "Applying inline style violates"


def seed() -> Story:
    for hours in range(1, 23):
        at = (timezone.now() - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
        Rollup.objects.create(
            width_seconds=60,
            starts_at=at,
            function="order-processing",
            version=1,
            started=30,
            succeeded=25 + hours % 5,
            failed=hours % 3,
            durations={"48": 20, "72": 8},
        )
    order_that_failed(began=7200)
    return order_that_succeeded(began=3600)


def test_every_chart_is_drawn_in_both_themes_and_nothing_else_is_complained_about(
    page: Page, complaints: Complaints
) -> None:
    complaints.expect(STYLE_REPORT)
    seed()
    log_in(page, "Viewer")
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        page.goto("/metrics/")
        expect(page.locator("[data-chart] .main-svg .xy").first).to_be_visible()
        assert page.locator("[data-drawn]").count() == 4
        assert_accessible(page)
        assert_fits(page)
    light = page.locator("[data-chart] text").first.evaluate("each => getComputedStyle(each).fill")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "light => getComputedStyle(document.querySelector('[data-chart] text')).fill !== light", arg=light
    )
    assert_contrast(page)


def test_dragging_over_a_time_shows_that_time(page: Page, complaints: Complaints) -> None:
    complaints.expect(STYLE_REPORT)
    seed()
    log_in(page, "Viewer")
    page.goto("/metrics/?function=order-processing")
    area = page.locator("[data-chart=chart-outcomes] .nsewdrag")
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=6)
    page.mouse.up()
    page.wait_for_url("**/metrics/?*from=*")
    query = parse_qs(urlsplit(page.url).query)
    assert query["function"] == ["order-processing"]
    since, until = (datetime.fromisoformat(query[name][0]) for name in ("from", "to"))
    assert timedelta(hours=11) < until - since < timedelta(hours=13)
    page.get_by_role("link", name="Zoom out").click()
    page.wait_for_url(lambda url: url.count("from=") == 1 and query["from"][0] not in url)


def test_a_click_on_a_point_opens_its_execution(page: Page, complaints: Complaints) -> None:
    complaints.expect(STYLE_REPORT)
    story = order_that_succeeded(began=3600)
    log_in(page, "Viewer")
    page.goto("/metrics/")
    point = page.locator("[data-chart=chart-scatter] .points path").first
    point.hover(force=True)
    expect(page.locator("[data-chart=chart-scatter] .hovertext")).to_contain_text("order-processing")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url(f"**/executions/{story.id}/")


def test_without_a_script_there_are_bars_and_tables(browser: Browser, page: Page, live_server: LiveServer) -> None:
    story = seed()
    log_in(page, "Viewer")
    context = browser.new_context(
        base_url=live_server.url, java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto("/metrics/")
    expect(plain.get_by_role("img", name="Ended: ")).to_be_visible()
    plain.get_by_text("Slowest of them").click()
    expect(plain.get_by_role("region", name="Slowest of them").get_by_role("link").first).to_be_visible()
    assert plain.locator(f'a[href="/executions/{story.id}/"]').count() == 2
    context.close()
