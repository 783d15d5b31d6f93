"""Input, outcome and tags, each in full."""

from typing import Any

from dashboard.seen import Seen


def data_tab(seen: Seen) -> dict[str, Any]:
    """Nothing is read here: values are fetched one by one, by people who may see them."""
    return {}
