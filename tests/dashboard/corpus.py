"""Texts that would break a page that does not escape them."""

from tests.html import elements

MARK = "xss-corpus"
HOSTILE = (
    f"<script>alert('{MARK}')</script>",
    f"\"><img src=x onerror=alert('{MARK}')>",
    f"' onmouseover='alert(\"{MARK}\")' x='",
    f"</pre></svg></title><svg onload=alert('{MARK}')>",
    f"{{{{ {MARK} }}}}{{% {MARK} %}}",
    f"javascript:alert('{MARK}')",
)
# Leaves either kind of attribute and whatever it stands in, and opens an element that would run.
BREAKS_OUT = f"'\"></title></textarea><svg onload=alert('{MARK}')>"


def executable_parts(html: str) -> list[str]:
    """What of a page would run or break out, were it not escaped: empty for a safe page."""
    dangerous = ("<script>alert", "<img src=x", "<svg onload", f"' onmouseover='alert(\"{MARK}")
    return [text for text in dangerous if text in html]


def living_elements(html: str) -> list[str]:
    """The elements a browser would run: handlers in attributes, scripts of one's own, links to code; empty if safe.

    Reads the page as a browser does, so that a quotation mark in a text is no finding.
    """
    found = []
    for each in elements(html):
        handlers = [name for name in each if name.startswith("on")]
        is_data = each["tag"] == "script" and each.get("type") == "application/json"
        is_script = (
            not is_data
            and each["tag"] in {"script", "iframe", "object", "embed"}
            and not each.get("src", "").startswith("/")
        )
        leads_to_code = each.get("href", "").strip().lower().startswith(("javascript:", "data:"))
        if handlers or is_script or leads_to_code or each.get("src", "/")[0] != "/":
            found.append(str(each))
    return found
