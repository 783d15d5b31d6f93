"""Another installation, by its service API and what /api/v1 adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from durable_engine.management.backends.http import Server
from durable_engine.management.backends.port import Described, ListWanted
from durable_engine.services.validation import parse_json

API: Final = "/api/v1"
EXECUTIONS: Final = "/2025-12-01/durable-executions"
CALLBACKS: Final = "/2025-12-01/durable-execution-callbacks"
MOMENTS: Final = ("created_at", "closed_at", "deadline", "heartbeat_deadline")
EVENTS_A_PAGE: Final = 1000
# What the local services take as JSON text is a value in a body.
VALUES: Final = {"input_text": "input", "result_text": "result"}


class RemoteBackend:
    """See `port.Backend`. What may be done is for the scopes of the API key to say."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._arns: dict[str, str] = {}

    def start(self, function: str, input_text: str, options: Mapping[str, Any]) -> Described:
        """Start an execution."""
        body = {"function": function, "input": parse_json(input_text, field="input"), **_given(options)}
        return self._object("POST", f"{API}/executions", json_body=body)

    def executions(self, wanted: ListWanted) -> list[Described]:
        """List executions."""
        fields: dict[str, Any] = {
            "status": wanted.status,
            "function": wanted.function,
            "text": wanted.text,
            "version": wanted.version,
            "tags": ",".join(f"{key}={value}" for key, value in wanted.tags) or None,
            "since": wanted.since and wanted.since.isoformat(),
            "until": wanted.until and wanted.until.isoformat(),
            "waiting": wanted.waiting,
            "limit": wanted.limit,
        }
        query = [(name, str(value)) for name, value in _given(fields).items()]
        return [_with_times(each) for each in self._object("GET", f"{API}/executions", query=query)["executions"]]

    def functions(self) -> list[Described]:
        """List the versions of functions."""
        found: list[Described] = self._object("GET", f"{API}/functions")["functions"]
        return found

    def show(self, execution: str) -> Described:
        """Return one execution."""
        return _with_times(self._object("GET", _path(execution)))

    def events(self, execution: str, after: int = 0) -> list[Described]:
        """Return its events: from the beginning, or back from the newest to those that are known."""
        found: list[Described] = []
        marker: str | None = ""
        while marker is not None:
            query = [("MaxItems", str(EVENTS_A_PAGE)), ("ReverseOrder", "true" if after else "false")]
            if marker:
                query.append(("Marker", marker))
            page = self._object("GET", f"{EXECUTIONS}/{quote(self._arn(execution), safe='')}/history", query=query)
            found += [event for event in page["Events"] if event["EventId"] > after]
            is_enough = any(event["EventId"] <= after + 1 for event in page["Events"]) if after else False
            marker = None if is_enough else page.get("NextMarker")
        return [_event(event) for event in sorted(found, key=lambda event: int(event["EventId"]))]

    def act(
        self, name: str, execution: str, operation: str | None, arguments: Mapping[str, Any], reason: str
    ) -> Described:
        """Carry out an act."""
        if name == "delete":
            return self._object("DELETE", _path(execution), query=[("reason", reason)] if reason else ())
        body = {VALUES.get(key, key): value for key, value in _given(arguments).items()}
        for field in VALUES.values() & body.keys():
            body[field] = parse_json(body[field], field=field)
        about = {"reason": reason} if reason else {}
        part = "" if operation is None else f"/operations/{quote(operation, safe='')}"
        method = "PUT" if name == "tags" else "POST"
        return self._object(method, f"{_path(execution)}{part}/{name}", json_body={**body, **about})

    def complete(self, callback_id: str, *, result: str | None = None, error: Mapping[str, str] | None = None) -> None:
        """Complete a callback."""
        path = f"{CALLBACKS}/{quote(callback_id, safe='')}"
        if error is None:
            self._server.call("POST", f"{path}/succeed", body=(result or "").encode())
        else:
            self._server.call("POST", f"{path}/fail", json_body=dict(error))

    def heartbeat(self, callback_id: str) -> None:
        """Keep a callback alive."""
        self._server.call("POST", f"{CALLBACKS}/{quote(callback_id, safe='')}/heartbeat")

    def callback_with_key(self, function: str, key: str) -> tuple[str, str]:
        """Find a callback by its business key."""
        path = f"{API}/functions/{quote(function, safe='')}/callbacks/{quote(key, safe='')}"
        found = self._object("GET", path)
        return found["execution_id"], found["callback_id"]

    def execution_of_callback(self, callback_id: str) -> str | None:
        """Unknown: whoever holds the id of a callback need not be allowed to see its execution."""
        return None

    def _arn(self, execution: str) -> str:
        if execution not in self._arns:
            self._arns[execution] = self.show(execution)["arn"]
        return self._arns[execution]

    def _object(self, method: str, path: str, **options: Any) -> Described:
        value = self._server.call(method, path, **options)
        return value if isinstance(value, dict) else {}


def _path(execution: str) -> str:
    return f"{API}/executions/{quote(execution, safe='')}"


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _with_times(described: Described) -> Described:
    """Read the times, and those of the open callbacks; input and result stay as they are."""
    for name in MOMENTS:
        if isinstance(described.get(name), str):
            described[name] = datetime.fromisoformat(described[name])
    for callback in described.get("callbacks", ()):
        _with_times(callback)
    return described


def _event(event: Described) -> Described:
    for holder in (event, event.get(f"{event['EventType']}Details", {})):
        for name, value in holder.items():
            if name.endswith("Timestamp") and isinstance(value, int | float):
                holder[name] = datetime.fromtimestamp(value, UTC)
    return event
