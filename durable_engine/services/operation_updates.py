"""`OperationUpdate` as it comes over the wire: every field checked for its type, length and form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from durable_engine.core.payloads import MAX_INLINE_CONTEXT_BYTES, MAX_RESULT_BYTES, MAX_STEP_BYTES
from durable_engine.services.exceptions import InvalidInput
from durable_engine.services.validation import MAX_DELAY_SECONDS, checked_error, checked_tenant, checked_text

# What each type may be told to do.
ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "STEP": ("START", "SUCCEED", "FAIL", "RETRY"),
    "CONTEXT": ("START", "SUCCEED", "FAIL"),
    "WAIT": ("START", "CANCEL"),
    "CALLBACK": ("START",),
    "CHAINED_INVOKE": ("START",),
    "EXECUTION": ("SUCCEED", "FAIL"),
}
MOST_UPDATES: Final = 1000
MAX_CALLBACK_SECONDS: Final = 99_999_999
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME: Final = re.compile(r"[\x20-\x7e]{1,256}")
_SUBTYPE: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_LIMITS: Final = {"STEP": MAX_STEP_BYTES, "CONTEXT": MAX_INLINE_CONTEXT_BYTES}


@dataclass(frozen=True, slots=True)
class OperationUpdate:
    """One thing to record. `where` is its place in the request, for messages."""

    where: str
    id: str
    type: str
    action: str
    parent_id: str | None
    name: str | None
    subtype: str | None
    payload: str | None
    error: Mapping[str, object] | None
    replay_children: bool
    next_attempt_seconds: int | None
    wait_seconds: int | None
    timeout_seconds: int
    heartbeat_timeout_seconds: int
    function: str | None
    tenant_id: str | None

    def refuse(self, problem: str) -> InvalidInput:
        """Return the error that says what is wrong with this update."""
        return InvalidInput(self.where, problem)


def parse_updates(value: object) -> list[OperationUpdate]:
    """Return the updates of a request; none at all is a request for news.

    Raises:
        InvalidInput: naming the field at fault.
    """
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MOST_UPDATES:
        raise InvalidInput("Updates", f"must be a list of at most {MOST_UPDATES:,}.")
    return [_parse(each, f"Updates[{number}]") for number, each in enumerate(value)]


def _parse(value: object, where: str) -> OperationUpdate:
    fields = _Fields(value, where)
    kind = fields.choice("Type", tuple(ACTIONS))
    options = {name: _Fields(fields.get(name) or {}, f"{where}.{name}") for name in _OPTIONS}
    return OperationUpdate(
        where=where,
        id=fields.text("Id", _ID, required=True) or "",
        type=kind,
        action=fields.choice("Action", ACTIONS[kind]),
        parent_id=fields.text("ParentId", _ID),
        name=fields.text("Name", _NAME),
        subtype=fields.text("SubType", _SUBTYPE),
        payload=fields.payload("Payload", _LIMITS.get(kind, MAX_RESULT_BYTES)),
        error=fields.error("Error"),
        replay_children=options["ContextOptions"].flag("ReplayChildren"),
        next_attempt_seconds=options["StepOptions"].seconds("NextAttemptDelaySeconds", 1, MAX_DELAY_SECONDS),
        wait_seconds=options["WaitOptions"].seconds("WaitSeconds", 1, MAX_DELAY_SECONDS),
        timeout_seconds=options["CallbackOptions"].seconds("TimeoutSeconds", 0, MAX_CALLBACK_SECONDS) or 0,
        heartbeat_timeout_seconds=options["CallbackOptions"].seconds("HeartbeatTimeoutSeconds", 0, MAX_CALLBACK_SECONDS)
        or 0,
        function=options["ChainedInvokeOptions"].text("FunctionName", None),
        tenant_id=checked_tenant(options["ChainedInvokeOptions"].get("TenantId")),
    )


_OPTIONS: Final = ("ContextOptions", "StepOptions", "WaitOptions", "CallbackOptions", "ChainedInvokeOptions")


class _Fields:
    """The fields of one JSON object."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise InvalidInput(where, "must be an object.")
        self._value: dict[str, Any] = value
        self._where = where

    def get(self, name: str) -> Any:
        return self._value.get(name)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.get(name)
        if value not in allowed:
            raise InvalidInput(f"{self._where}.{name}", f"must be one of {', '.join(allowed)}.")
        return str(value)

    def text(self, name: str, form: re.Pattern[str] | None, *, required: bool = False) -> str | None:
        value = self.get(name)
        if value is None and not required:
            return None
        if not isinstance(value, str) or (form is not None and not form.fullmatch(value)):
            shape = "" if form is None else f" of the form {form.pattern}"
            raise InvalidInput(f"{self._where}.{name}", f"must be text{shape}.")
        return value

    def payload(self, name: str, limit: int) -> str | None:
        value = self.get(name)
        return None if value is None else checked_text(value, field=f"{self._where}.{name}", limit=limit)

    def error(self, name: str) -> Mapping[str, object] | None:
        value = self.get(name)
        return None if value is None else checked_error(value, field=f"{self._where}.{name}")

    def flag(self, name: str) -> bool:
        value = self.get(name)
        if value not in (None, True, False):
            raise InvalidInput(f"{self._where}.{name}", "must be true or false.")
        return bool(value)

    def seconds(self, name: str, least: int, most: int) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InvalidInput(f"{self._where}.{name}", f"must be a whole number from {least} to {most:,}.")
        return value
