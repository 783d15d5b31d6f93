"""The JSON schemas of what /api/v1 answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from durable_engine.api.documented import LIST, MOMENT, OBJECT, TEXT, TRUTH, WHOLE, Schema
from durable_engine.models import ExecutionStatus

ID: Final[Schema] = {"type": "string", "format": "uuid"}
STATUS: Final[Schema] = {"type": "string", "enum": ExecutionStatus.values}


def or_null(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {**schema, "type": [schema["type"], "null"]}


def schema_of(properties: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> dict[str, Any]:
    """Return the schema of an object; properties are there unless they are optional."""
    left_out = set(optional)
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in left_out],
    }


def list_of(schema: Schema | str) -> Schema:
    """Return the schema of a list; a text names a schema of `components`."""
    return {**LIST, "items": reference(schema) if isinstance(schema, str) else schema}


def reference(name: str) -> Schema:
    """Return a reference to a schema of `components`."""
    return {"$ref": f"#/components/schemas/{name}"}


_LINE: Final[Mapping[str, Schema]] = {
    "id": ID,
    "arn": TEXT,
    "name": TEXT,
    "function": TEXT,
    "version": WHOLE,
    "status": STATUS,
    "tags": {**OBJECT, "additionalProperties": TEXT},
    "created_at": MOMENT,
    "closed_at": or_null(MOMENT),
    "error_type": TEXT,
    "error_message": TEXT,
}
_ERROR_VIEW: Final = schema_of({"type": TEXT, "message": TEXT, "stack": list_of(TEXT), "data": or_null(TEXT)})
_CHILD: Final = schema_of(
    {"id": ID, "function": TEXT, "version": WHOLE, "status": STATUS, "operation_id": or_null(TEXT)}
)
_OPEN_CALLBACK: Final = schema_of(
    {
        "callback_id": TEXT,
        "operation_id": TEXT,
        "name": or_null(TEXT),
        "created_at": MOMENT,
        "deadline": or_null(MOMENT),
        "heartbeat_deadline": or_null(MOMENT),
    },
    optional=["callback_id"],
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "ExecutionLine": schema_of(_LINE),
    "ExecutionPage": schema_of({"executions": list_of("ExecutionLine"), "next": or_null(TEXT)}),
    "Execution": schema_of(
        {
            **_LINE,
            "revision": {**TEXT, "description": "Changes whenever the execution does."},
            "status_text": TEXT,
            "waiting_for": TEXT,
            "input": {"description": "The JSON value; text that is no JSON stays text."},
            "result": {"description": "The JSON value; text that is no JSON stays text."},
            "error": or_null(_ERROR_VIEW),
            "pause_kind": TEXT,
            "pause_reason": TEXT,
            "parent": or_null(schema_of({"id": ID, "operation_id": or_null(TEXT)})),
            "origin": or_null(schema_of({"id": ID, "kind": TEXT})),
            "superseded_by": or_null(ID),
            "continued_as": or_null(ID),
            "children": list_of(_CHILD),
            "callbacks": list_of(_OPEN_CALLBACK),
        }
    ),
    "Started": schema_of({"id": ID, "arn": TEXT, "name": TEXT, "created": TRUTH}),
    "Changed": schema_of(
        {"id": ID, "status": {"enum": [*ExecutionStatus.values, "DELETED"]}, "revision": or_null(TEXT)}
    ),
    "Version": schema_of(
        {
            "function": TEXT,
            "version": WHOLE,
            "newest": TRUTH,
            "live_executions": WHOLE,
            "workers": WHOLE,
            "missing": {**TRUTH, "description": "Executions need it, and nobody serves it."},
            "over": {**TRUTH, "description": "A newer version exists, and nothing runs on this one."},
        }
    ),
    "VersionList": schema_of({"functions": list_of("Version")}),
    "Callback": schema_of({"execution_id": ID, "operation_id": TEXT, "callback_id": TEXT}),
    "Error": {
        **schema_of({"Type": {"enum": ["User", "Service"]}, "message": TEXT, "Message": TEXT}),
        "description": "The header x-amzn-ErrorType names the error.",
    },
}
