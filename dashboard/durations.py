"""Durations in words: two units at most."""

UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def in_words(seconds: float) -> str:
    """Return for example `340 ms`, `12.6 s`, `3 min 04 s`, `1 h 04 min` or `2 d 03 h`."""
    if seconds < 0:
        return in_words(0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = max(int(seconds), 60)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02} h"


def offset(seconds: float) -> str:
    """How long after the start something happened: `+12.46 s`, fine enough to tell neighbours apart."""
    if seconds < 3600:
        return f"+{seconds:.2f} s"
    whole = int(seconds)
    return f"+{whole // 3600} h {whole % 3600 // 60:02} min {whole % 60:02} s"


def relative(seconds_ago: float) -> str:
    """Return for example `12 seconds ago`, or `in 1 min 43 s` for a time to come. `static/js/time.js` says the same."""
    size = abs(seconds_ago)
    if size < 1:
        return "now"
    if seconds_ago < 0:
        return f"in {in_words(int(size))}"
    unit_seconds, unit = next(choice for choice in UNITS if size >= choice[0])
    count = int(size // unit_seconds)
    return f"{count} {unit}{'' if count == 1 else 's'} ago"
