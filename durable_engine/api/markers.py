"""Markers of pages: opaque, signed, valid for a day, and only for the listing they were given out by."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any, Final

from django.core import signing

from durable_engine.api.errors import invalid_parameter

VALID_FOR: Final = timedelta(hours=24)
LONGEST: Final = 2048
SALT: Final = "durable_engine.api.markers"


def make_marker(operation: str, listing: object, position: object) -> str:
    """Return the marker of the page after `position`; `listing` is everything that decides what is listed, and how."""
    return signing.dumps([_listing(operation, listing), position], salt=SALT)


def read_marker(text: str | None, operation: str, listing: object) -> Any:
    """Return the position a marker stands for, None without a marker.

    Raises:
        ApiError: InvalidParameterValueException, it is forged, too old, or of another listing.
    """
    if not text:
        return None
    try:
        given, position = signing.loads(text[:LONGEST], salt=SALT, max_age=VALID_FOR)
    except (signing.BadSignature, ValueError):
        raise invalid_parameter("Marker is not one of ours, or is older than 24 hours.") from None
    if given != _listing(operation, listing):
        raise invalid_parameter("Marker belongs to another request: keep the other parameters as they were.")
    return position


def _listing(operation: str, listing: object) -> str:
    text = json.dumps([operation, listing], default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
