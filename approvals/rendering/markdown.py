"""Markdown that a handler's author or an approver wrote, as HTML that can do nothing but be read.

Raw HTML is text, images become links, and what is left is sanitised, so that a page never depends on one of the two
being right.
"""

from collections.abc import Sequence
from functools import cache

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

# The page's own headings are h1 and h2.
FIRST_HEADING = 3
ALLOWED_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
ALLOWED_SCHEMES = {"http", "https", "mailto"}


def render_markdown(text: str) -> SafeString:
    """Return the text as sanitised HTML: paragraphs, lists, tables, code, emphasis and links; nothing else."""
    html = nh3.clean(
        _parser().render(text),
        tags=ALLOWED_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes=ALLOWED_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    # After sanitising, `<table>` can only be a table. A wide one scrolls by itself, also with the keyboard.
    frame = f'<div class="table-scroll" tabindex="0" role="group" aria-label="{escape(_("Table"))}">'
    framed = html.replace("<table>", f'{frame}<table class="table">').replace("</table>", "</table></div>")
    return mark_safe(framed)  # noqa: S308 - sanitised above


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.core.ruler.push("headings_below_the_page_s", _lower_headings)
    parser.add_render_rule("image", _image_as_link)
    return parser


def _lower_headings(state: object) -> None:
    """Begin at h3 and leave no level out, whatever the author counted from."""
    tokens: list[Token] = state.tokens  # type: ignore[attr-defined]  # the library's StateCore
    last = FIRST_HEADING - 1
    for token in tokens:
        if token.type == "heading_open":
            last = min(int(token.tag[1]) + FIRST_HEADING - 1, last + 1, 6)
            token.tag = f"h{last}"
        elif token.type == "heading_close":
            token.tag = f"h{last}"


def _image_as_link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    # Loading it would tell its server who reads the request, and when.
    token = tokens[index]
    text = renderer.renderInlineAsText(token.children, options, env) or token.attrs["src"]
    link = Token("link_open", "a", 1, attrs={"href": token.attrs["src"]})
    inside = Token("text", "", 0, content=str(text))
    return renderer.renderInline([link, inside, Token("link_close", "a", -1)], options, env)
