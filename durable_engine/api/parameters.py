"""Reads what a request names: functions, executions, query parameters, JSON. Refuses with the field's name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.http.request import QueryDict

from durable_engine.api.errors import invalid_parameter
from durable_engine.queries.arns import ExecutionArn, parse_execution_arn
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.function_names import FunctionReference, parse_function_name
from durable_engine.services.exceptions import InvalidInput
from durable_engine.services.validation import parse_json

DEFAULT_PAGE: Final = 100
LONGEST_PAGE: Final = 1000
LONGEST_CLIENT_TOKEN: Final = 64


def execution_of(arn: str) -> ExecutionArn:
    """Return what an execution's ARN names.

    Raises:
        ApiError: InvalidParameterValueException, it is none.
    """
    parsed = parse_execution_arn(arn)
    if parsed is None:
        form = "arn:aws:lambda:REGION:ACCOUNT:function:NAME:$LATEST/durable-execution/EXECUTION_NAME/ID"
        raise invalid_parameter(f"DurableExecutionArn must have the form {form}.")
    return parsed


def function_of(text: str, query: QueryDict) -> FunctionReference:
    """Return what a function's name, `name:qualifier` or ARN and the parameter Qualifier mean together.

    Raises:
        ApiError: InvalidParameterValueException, it is no name, or the two contradict each other.
    """
    qualifier = query.get("Qualifier")
    try:
        named = parse_function_name(text, "FunctionName")
        if not qualifier:
            return named
        qualified = parse_function_name(f"{named.name}:{qualifier}", "Qualifier")
    except ValidationError as problem:
        raise invalid_parameter(str(problem)) from None
    if named.version not in {None, qualified.version}:
        raise invalid_parameter(f"Qualifier: {qualifier} contradicts the version in FunctionName, {named.version}.")
    return qualified


def max_items(query: QueryDict, *, default: int = DEFAULT_PAGE, most: int = LONGEST_PAGE) -> int:
    """Return how many items a page may have; 0 and nothing mean the default."""
    text = query.get("MaxItems") or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise invalid_parameter(f"MaxItems: {text[:40]!r} is not a whole number from 0 to {most}.")
    return int(text) or default


def boolean(query: QueryDict, name: str, *, default: bool) -> bool:
    """Return a parameter that is `true` or `false`."""
    text = query.get(name)
    if not text:
        return default
    if text.lower() not in {"true", "false"}:
        raise invalid_parameter(f"{name}: {text[:40]!r} is neither true nor false.")
    return text.lower() == "true"


def moment(query: QueryDict, name: str) -> datetime | None:
    """Return a time given in ISO 8601, in UTC unless it says otherwise, or in epoch seconds."""
    text = query.get(name)
    if not text:
        return None
    try:
        value = datetime.fromisoformat(text) if "-" in text[1:] else datetime.fromtimestamp(float(text), UTC)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise invalid_parameter(f"{name}: {text[:60]!r} is not a time, such as 2026-03-01T12:00:00Z.") from None


def json_object(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object that a body holds; an empty body is an empty object.

    Raises:
        ApiError: InvalidParameterValueException, with what is wrong.
    """
    if not body.strip():
        return {}
    try:
        value = parse_json(text_of(body, "The body"), field="body")
    except InvalidInput as problem:
        raise invalid_parameter(str(problem)) from None
    if not isinstance(value, dict):
        raise invalid_parameter("The body must be a JSON object.")
    return value


def text_of(data: bytes, what: str) -> str:
    """Return the text that bytes hold."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise invalid_parameter(f"{what} is not UTF-8 (byte {problem.start}).") from None


def text_field(fields: Mapping[str, Any], name: str, *, longest: int) -> str | None:
    """Return a text of a JSON object, or None if it isn't there."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest:
        raise invalid_parameter(f"{name} must be text of at most {longest:,} characters.")
    return value
