"""What can be done to an execution: one action for each of `services.acts`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from durable_engine.api.actions import Action
from durable_engine.api.documented import ANY, OBJECT, TEXT, WHOLE, Documented, Schema
from durable_engine.api.v1.actions import Asked, v1_action
from durable_engine.api.v1.executions import started_object
from durable_engine.queries.executions import ExecutionSummary, execution_summary
from durable_engine.services.acts import Act
from durable_engine.services.lookups import operation_named

TAG: Final = "Repairs"
# What services take as JSON text is a value in a body.
_VALUES: Final = {"input_text": "input", "result_text": "result"}
_SCHEMAS: Final[Mapping[str, Schema]] = {
    "name": {**TEXT, "description": "Of the new execution."},
    "version": {**WHOLE, "description": "Of the function to go on with."},
    "input": {**ANY, "description": "Any JSON value; left out: the recorded input."},
    "result": {**ANY, "description": "Any JSON value; left out: none."},
    "error": {**OBJECT, "description": "ErrorType, ErrorMessage, ErrorData as text, StackTrace as a list of text."},
    "tags": {**OBJECT, "additionalProperties": TEXT},
}
_COMMON: Final[Mapping[str, Schema]] = {
    "reason": {**TEXT, "description": "Kept in the audit."},
    "revision": {
        **TEXT,
        "description": "That of the execution as you saw it: refused with 409 when it has moved on.",
    },
}


def action_of(act: Act) -> Action:
    """Return the action that carries an act out."""
    fields = {_VALUES.get(name, name): name for name in act.arguments}
    required = ("tags",) if act.name == "tags" else ()
    starts = act.name in {"redrive", "rerun", "rewind", "fork"}
    # A body with DELETE is dropped by some proxies.
    by_query = act.name == "delete"
    documented = Documented(
        TAG,
        act.summary,
        "Started" if starts else "Changed",
        status=201 if starts else 200,
        query=_COMMON if by_query else {},
        body=None if by_query else {**{field: _SCHEMAS[field] for field in fields}, **_COMMON},
        required=required,
    )

    @v1_action(_operation_name(act), scope=act.scope, documented=documented)
    def answer(asked: Asked, execution: str, operation: str | None = None) -> object:
        summary = asked.execution(execution)
        given = dict(asked.query if by_query else asked.body)
        about = {"reason": given.pop("reason", ""), "seen_revision": given.pop("revision", None)}
        arguments = {fields[field]: _argument(fields[field], value) for field, value in given.items()}
        operation_id = None if operation is None else operation_named(summary.id, operation)
        started = act.carry_out(summary.id, operation_id, arguments, actor=asked.call.caller.actor, **about)
        if started is not None:
            return started_object(started.id, summary.function, started.name, created=started.created)
        return _changed(summary)

    return answer


def _operation_name(act: Act) -> str:
    if act.name == "tags":
        return "ChangeExecutionTags"
    if act.name == "retry" and not act.on_operation:
        return "RetryExecution"
    return f"{act.name.capitalize()}{'Operation' if act.on_operation else 'Execution'}"


def _argument(name: str, value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if name in _VALUES else value


def _changed(summary: ExecutionSummary) -> dict[str, Any]:
    now = execution_summary(summary.id)
    if now is None:
        return {"id": summary.id, "status": "DELETED", "revision": None}
    return {"id": now.id, "status": now.status, "revision": now.revision}
