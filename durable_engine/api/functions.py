"""Functions, read only: enough for the AWS CLI and for tools that look before they call."""

from __future__ import annotations

import math
from typing import Any, Final

from django.http import HttpResponse

from durable_engine.api.actions import Call, api_action
from durable_engine.api.errors import invalid_parameter, not_found
from durable_engine.api.markers import make_marker, read_marker
from durable_engine.api.parameters import function_of, max_items
from durable_engine.api.responses import json_response
from durable_engine.queries.arns import LATEST, function_arn
from durable_engine.queries.functions import FunctionView, function_named, list_functions

DEFAULT_PAGE: Final = 50
LONGEST_PAGE: Final = 10_000
DAY_SECONDS: Final = 86_400
MOST_DAYS: Final = 90  # of the model


@api_action("GetFunction", scope="read")
def function_detail(call: Call, function: str) -> HttpResponse:
    """A function's configuration. There is no code to download: the handlers are in the workers."""
    return json_response({"Configuration": _found(call, function), "Tags": {}})


@api_action("GetFunctionConfiguration", scope="read")
def function_configuration(call: Call, function: str) -> HttpResponse:
    """A function's configuration alone."""
    return json_response(_found(call, function))


@api_action("ListFunctions", scope="read")
def function_list(call: Call) -> HttpResponse:
    """The functions that the key is for, by name; with `FunctionVersion=ALL` every version of them."""
    wanted = call.query.get("FunctionVersion")
    if wanted not in {None, "", "ALL"}:
        raise invalid_parameter(f"FunctionVersion: {str(wanted)[:40]!r} is not ALL.")
    listing = [wanted]
    after = read_marker(call.query.get("Marker"), "ListFunctions", listing) or ["", 0]
    limit = max_items(call.query, default=DEFAULT_PAGE, most=LONGEST_PAGE)
    lines = [
        (view, version)
        for view in list_functions()
        if call.caller.may_touch(view.name)
        for version in ([0, *view.versions] if wanted == "ALL" else [0])
        if [view.name, version] > after
    ]
    lines.sort(key=lambda line: (line[0].name, line[1]))
    answer: dict[str, Any] = {"Functions": [_configuration(view, version or None) for view, version in lines[:limit]]}
    if len(lines) > limit:
        view, version = lines[limit - 1]
        answer["NextMarker"] = make_marker("ListFunctions", listing, [view.name, version])
    return json_response(answer)


def _found(call: Call, text: str) -> dict[str, Any]:
    wanted = function_of(text, call.query)
    call.caller.check_function(wanted.name)
    view = function_named(wanted.name)
    if view is None or (wanted.version is not None and wanted.version not in view.versions):
        raise not_found(f"Function not found: {function_arn(wanted.name, str(wanted.version or LATEST))}")
    return _configuration(view, wanted.version)


def _configuration(view: FunctionView, version: int | None) -> dict[str, Any]:
    qualifier = LATEST if version is None else str(version)
    configuration: dict[str, Any] = {
        "FunctionName": view.name,
        "FunctionArn": function_arn(view.name, None if version is None else qualifier),
        "Handler": view.name,
        "Description": view.description[:256],
        "Version": qualifier,
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "DurableConfig": {},
    }
    if view.seen_at is not None:
        configuration["LastModified"] = f"{view.seen_at:%Y-%m-%dT%H:%M:%S}.000+0000"
    if (seconds := view.config.get("invocation_timeout_seconds")) is not None:
        configuration["Timeout"] = max(1, round(seconds))
    if (seconds := view.config.get("execution_timeout_seconds")) is not None:
        configuration["DurableConfig"]["ExecutionTimeout"] = max(1, round(seconds))
    if (seconds := view.config.get("retention_seconds")) is not None:
        configuration["DurableConfig"]["RetentionPeriodInDays"] = min(MOST_DAYS, math.ceil(seconds / DAY_SECONDS))
    return configuration
