"""What every action under /api/v1 has in common: checked parameters, JSON with times in ISO 8601, its documentation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse

from durable_engine.api.actions import MIB, Action, Call, api_action
from durable_engine.api.documented import Documented
from durable_engine.api.errors import invalid_parameter
from durable_engine.api.parameters import json_object
from durable_engine.queries.executions import ExecutionSummary, execution_summary
from durable_engine.services.exceptions import ExecutionNotFound
from durable_engine.services.lookups import execution_named

# An input of 6 MiB, escaped as JSON text in its envelope.
LIMIT: Final = 8 * MIB


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: who makes it, and its parameters, which are of the types that the action documents."""

    call: Call
    query: Mapping[str, str]
    body: Mapping[str, Any]

    def execution(self, text: str) -> ExecutionSummary:
        """Return the execution with this id, beginning of an id, or name.

        Raises:
            ExecutionNotFound: there is none, or the key is not for its function.
        """
        summary = execution_summary(execution_named(text))
        if summary is None or not self.call.caller.may_touch(summary.function):
            raise ExecutionNotFound(text)
        self.call.about = str(summary.id)
        return summary


Answering = Callable[..., object]


def v1_action(operation: str, *, scope: str, documented: Documented) -> Callable[[Answering], Action]:
    """Make an action of a function `(asked, **names in the path)` that returns JSON values."""

    def declare(function: Answering) -> Action:
        @api_action(operation, scope=scope, limit=LIMIT)
        @wraps(function)
        def answer(call: Call, **names: Any) -> HttpResponse:
            asked = Asked(call, _query_of(call, documented), documented.check(json_object(call.body)))
            text = to_json(function(asked, **names))
            return HttpResponse(text, status=documented.status, content_type="application/json")

        answer.documented = documented
        return answer

    return declare


def _query_of(call: Call, documented: Documented) -> dict[str, str]:
    given = {name: str(value) for name, value in call.query.items()}
    if unknown := sorted(given.keys() - documented.query.keys()):
        there = f"There are {', '.join(documented.query)}." if documented.query else "There are none."
        raise invalid_parameter(f"query: {unknown[0][:60]!r} is no parameter. {there}")
    for name, value in given.items():
        if "\x00" in value:
            raise invalid_parameter(f"{name}: contains a NUL character.")
    return given


def to_json(value: object) -> str:
    """Return JSON text; times in ISO 8601, ids as text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    message = f"{type(value).__name__} can't be written as JSON"
    raise TypeError(message)
