"""Markers are good for a day, and only as they were given out."""

from __future__ import annotations

import time

import pytest

from durable_engine.api.errors import ApiError
from durable_engine.api.markers import make_marker, read_marker

DAY = 24 * 60 * 60


def test_a_marker_leads_back_to_its_position() -> None:
    marker = make_marker("ListFunctions", ["ALL"], ["orders", 2])

    assert read_marker(marker, "ListFunctions", ["ALL"]) == ["orders", 2]
    assert read_marker(None, "ListFunctions", ["ALL"]) is None
    assert read_marker("", "ListFunctions", ["ALL"]) is None


@pytest.mark.parametrize("position", [0, 1, 10, -1])
def test_a_changed_marker_is_refused(position: int) -> None:
    marker = make_marker("ListFunctions", [], 7)
    other = "A" if marker[position] != "A" else "B"
    changed = marker[:position] + other + (marker[position + 1 :] if position != -1 else "")

    with pytest.raises(ApiError, match="not one of ours"):
        read_marker(changed, "ListFunctions", [])


def test_a_marker_of_another_listing_is_refused() -> None:
    marker = make_marker("ListFunctions", [], 7)

    for operation, listing in (("ListFunctions", ["ALL"]), ("GetDurableExecutionHistory", [])):
        with pytest.raises(ApiError, match="another request"):
            read_marker(marker, operation, listing)


def test_a_marker_of_yesterday_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: made - DAY - 5)
    marker = make_marker("ListFunctions", [], 7)
    monkeypatch.undo()

    with pytest.raises(ApiError, match="24 hours"):
        read_marker(marker, "ListFunctions", [])
