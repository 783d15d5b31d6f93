"""Texts that would break a page that does not escape them."""

MARK = "xss-corpus"
HOSTILE = (
    f"<script>alert('{MARK}')</script>",
    f"\"><img src=x onerror=alert('{MARK}')>",
    f"' onmouseover='alert(\"{MARK}\")' x='",
    f"</pre></svg></title><svg onload=alert('{MARK}')>",
    f"{{{{ {MARK} }}}}{{% {MARK} %}}",
    f"javascript:alert('{MARK}')",
)


def executable_parts(html: str) -> list[str]:
    """What of a page would run or break out, were it not escaped: empty for a safe page."""
    dangerous = ("<script>alert", "<img src=x", "<svg onload", f"' onmouseover='alert(\"{MARK}")
    return [text for text in dangerous if text in html]
