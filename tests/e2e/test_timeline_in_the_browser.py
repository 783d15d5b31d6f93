"""The drawing of a timeline at the width of a phone and of a desktop: nothing in it collides, nothing sticks out."""

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.conftest import DESKTOP, PHONE, SMALLEST, assert_fits, log_in
from tests.seeds import Story, order_that_succeeded, payment_in_back_off

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# One tablet besides: the width at which the labels still stand beside the bars, beside an open menu.
SIZES: tuple[ViewportSize, ...] = (DESKTOP, {"width": 1024, "height": 768}, PHONE, SMALLEST)
MEASURE = """() => {
  const boxOf = (each) => {
    const { left, right, top, bottom } = each.getBoundingClientRect();
    return { left, right, top, bottom, text: each.textContent };
  };
  const shown = (selector) =>
    [...document.querySelectorAll(selector)].filter((each) => each.getClientRects().length).map(boxOf);
  const box = document.querySelector(".timeline-box");
  return {
    drawing: boxOf(document.querySelector(".timeline")),
    panel: boxOf(box.closest(".panel")),
    axis: boxOf(document.querySelector(".timeline-behind")),
    lines: shown(".timeline-bars"),
    bars: shown(".bar rect").filter((each) => each.right > each.left && each.top > 0),
    marks: shown(".tick-label"),
    labels: shown(".timeline-label"),
    lengths: shown(".timeline-length"),
    scrolls: box.scrollWidth > box.clientWidth,
  };
}"""


def timelines() -> list[str]:
    """Timelines with labels and bars of every length."""
    stories = [payment_in_back_off(), order_that_succeeded()]
    for seconds in (0.9, 3.3, 75, 200, 5000):
        story = Story(began=9000).step("1", "n" * 200, 0.1, seconds / 2).step("2", "last", seconds, seconds)
        stories.append(story.invocation(0, seconds).close("SUCCEEDED", seconds))
    long = Story(began=4000).steps(210).wait("421", "settlement", 300, 3000)
    addresses = [reverse("dashboard:execution-timeline", args=[story.id]) for story in (*stories, long)]
    return [*addresses, f"{addresses[1]}?gaps=squeezed", f"{addresses[-1]}?start=60", f"{addresses[-1]}?gaps=squeezed"]


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two boxes share a place."""
    across = one["left"] < other["right"] and other["left"] < one["right"]
    return bool(across and one["top"] < other["bottom"] and other["top"] < one["bottom"])


def lies_in(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    """Whether a box lies inside another one from left to right, but for what rounding makes of it."""
    return bool(outer["left"] - 0.5 <= inner["left"] and inner["right"] <= outer["right"] + 0.5)


def test_marks_do_not_collide_and_every_bar_lies_in_the_drawing_at_every_width(page: Page) -> None:
    log_in(page, superuser=True)
    for address in timelines():
        page.goto(address)
        for size in SIZES:
            page.set_viewport_size(size)
            found = page.evaluate(MEASURE)
            where = f"{address} at {size['width']}"
            marks = found["marks"]
            assert marks, where
            pairs = [
                (one["text"], other["text"])
                for one in marks
                for other in marks
                if one is not other and overlap(one, other)
            ]
            assert pairs == [], where
            assert [each["text"] for each in marks if not lies_in(each, found["panel"])] == [], where
            assert found["bars"], where
            assert [each for each in found["bars"] if not lies_in(each, found["drawing"])] == [], where
            assert not found["scrolls"], where
            assert_fits(page)


def test_bars_are_drawn_to_the_scale_of_the_axis_at_every_width(page: Page) -> None:
    log_in(page, superuser=True)
    page.goto(reverse("dashboard:execution-timeline", args=[order_that_succeeded().id]))
    for size in SIZES:
        page.set_viewport_size(size)
        found = page.evaluate(MEASURE)
        for line in found["lines"]:
            assert line["left"] == pytest.approx(found["axis"]["left"], abs=1)
            assert line["right"] == pytest.approx(found["axis"]["right"], abs=1)


def test_on_a_phone_a_line_has_its_whole_name_and_length_above_its_bars(page: Page) -> None:
    log_in(page, superuser=True)
    page.set_viewport_size(PHONE)
    page.goto(reverse("dashboard:execution-timeline", args=[order_that_succeeded().id]))
    found = page.evaluate(MEASURE)
    assert len(found["labels"]) == len(found["lengths"]) == len(found["lines"]) > 1
    for label, line in zip(found["labels"], found["lines"], strict=True):
        assert lies_in(label, found["drawing"])
        assert label["top"] < line["top"]
        assert label["left"] == pytest.approx(line["left"], abs=1)
    charge = page.locator(".timeline-label", has_text="charge card").get_by_role("link")
    assert charge.evaluate("(each) => each.scrollWidth <= each.clientWidth")
    box = charge.bounding_box()
    assert box is not None
    assert box["height"] >= 24
    charge.click()
    expect(page.locator("#operation-2")).to_be_visible()
