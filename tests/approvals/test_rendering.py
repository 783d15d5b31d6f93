"""What authors and approvers write, as pages show it: readable, and unable to do anything."""

import pytest
from django.template.loader import render_to_string

from approvals.rendering.details import MOST_COLUMNS, MOST_ROWS, piece_of
from approvals.rendering.markdown import render_markdown
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import elements, words


def shown(value: object) -> str:
    return words(render_to_string("approvals/request/_piece.html", {"piece": piece_of(value)}))


def test_markdown_becomes_paragraphs_lists_tables_and_links() -> None:
    html = render_markdown(
        "Pay **now**\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[doc](https://example.com/x)"
    )

    assert "<strong>now</strong>" in html
    assert html.count("<li>") == 2
    (frame,) = elements(html, tag="div")
    assert (frame["tabindex"], frame["aria-label"]) == ("0", "Table")
    (link,) = elements(html, tag="a")
    assert (link["href"], link["rel"]) == ("https://example.com/x", "noopener noreferrer nofollow")


def test_headings_begin_below_those_of_the_page_and_skip_no_level() -> None:
    html = render_markdown("## first\n# second\n##### third")

    assert [each["tag"] for each in elements(html)] == ["h3", "h3", "h4"]


def test_an_image_is_a_link_that_nobody_s_browser_follows_by_itself() -> None:
    html = render_markdown("![the receipt](https://tracker.example/pixel.png)")

    assert "<img" not in html
    assert elements(html, tag="a")[0]["href"] == "https://tracker.example/pixel.png"
    assert "the receipt" in html


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<a href='x' onclick='y'>z</a>",
        "<javascript:alert(1)>",
        "![x](javascript:alert(1))",
        "```\n</table><script>alert('xss-corpus')</script>\n```",
    ],
)
def test_hostile_markdown_stays_text(text: str) -> None:
    html = str(render_markdown(text))

    for each in elements(html):
        assert not [name for name in each if name.startswith("on")]
        assert each.get("href", "https:").startswith(("https:", "http:", "mailto:"))
        assert each["tag"] not in {"script", "img", "svg", "iframe", "style"}


def test_pairs_tables_links_and_absent_values_are_laid_out() -> None:
    html = shown(
        {
            "order_total": 12.5,
            "invoice": "https://example.com/i/7",
            "paid": False,
            "note": None,
            "lines": [{"item": "mug", "pieces": 2}, {"item": "pen"}],
        }
    )

    assert "<dt>Order total</dt>" in html
    assert '<span class="number">12.5</span>' in html
    assert elements(html, tag="a")[0]["href"] == "https://example.com/i/7"
    assert html.count("<th scope") == 2
    assert html.count("<tr>") == 3
    assert "No" in html


def test_a_key_that_is_no_identifier_is_shown_as_it_is() -> None:
    assert "<dt>IBAN (from)</dt>" in shown({"IBAN (from)": "DE00"})


def test_a_long_list_says_how_much_is_left_out() -> None:
    assert "5 more are not shown." in shown(["x"] * (MOST_ROWS + 5))


def test_what_is_too_wide_or_too_deep_for_a_table_is_still_shown() -> None:
    wide = [{f"column {number}": number for number in range(MOST_COLUMNS + 1)}]
    deep: object = "the bottom"
    for _ in range(9):
        deep = {"in": deep}

    assert "<table" not in shown(wide)
    assert "column 10" in shown(wide)
    assert "the bottom" in shown(deep)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_facts_stay_texts(hostile: str) -> None:
    html = shown({hostile: hostile, "rows": [{hostile: hostile}], "list": [hostile, 7], "link": f"https://x/{hostile}"})

    assert executable_parts(html) == []


@pytest.mark.parametrize("text", ["javascript:alert(1)", "https:", "https://[", "http:// x", "ftp://example.com/"])
def test_only_web_addresses_become_links(text: str) -> None:
    assert elements(shown(text), tag="a") == []
