"""JSON as AWS clients read it: times as epoch seconds, errors with their type in a header."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse

from durable_engine.api.errors import ApiError


def json_response(value: object, status: int = 200) -> HttpResponse:
    """Return a JSON response; times become epoch seconds."""
    return HttpResponse(to_json(value), status=status, content_type="application/json")


def error_response(error: ApiError) -> HttpResponse:
    """Return a refusal as clients of rest-json read it."""
    sender = "User" if error.status < 500 else "Service"
    # The shapes of some types have `message`, those of others `Message`.
    body = {"Type": sender, "message": error.message, "Message": error.message}
    response = json_response(body, error.status)
    response["x-amzn-ErrorType"] = error.code
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def to_json(value: object) -> str:
    """Return JSON text; times become epoch seconds, ids text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, UUID):
        return str(value)
    message = f"{type(value).__name__} can't be written as JSON"
    raise TypeError(message)
