"""One form for the histories of both sides. What it leaves out, it says why.

* Ids, callback ids, ARNs and times are of one run. An operation is called by the path of its names instead.
* Branches run at the same time, so each branch is a lane of its own, compared in its order; how lanes interleave, and
  how often the invocation ended while a batch was open, depends on who was faster.
* Stack traces: AWS records none, we do, on purpose.
* The names of files and directories.
* The order of the keys of JSON objects means nothing.
* The type of an error: AWS records its own classes with their module from 2.0 on, and the name alone before. The name
  alone is compared.
* The messages that the SDK itself words: of a callback that timed out, a condition that was not met, a value that could
  not be stored. Ours say how long, and where and what to do.
* The data of an error: ours keep the attributes of exceptions whose class is registered, AWS loses them.
* What AWS's local runner does not tell, or tells beside what its service does: the name and id of the execution in its
  own events; the attempt of a step that has succeeded; the state of a check that goes on; the time limits of a
  callback; the tenant of an invoke.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

BRANCHES = {"ParallelBranch", "MapIteration"}
BATCHES = {"Parallel", "Map"}
LONGEST = 300
OWN_WORDS = {"Timeout", "Heartbeat", "CallbackTimeoutError", "SerDesError", "WaitForConditionError"}
DIRECTORY = re.compile(r'"/[^" ]*/perdure-values-\w+"')
THEIR_MODULE = "aws_durable_execution_sdk_python.exceptions."
OUR_DATA = '{"t": "ex"'

Wire = Mapping[str, Any]
History = dict[str, list[str]]


def lanes(events: Sequence[Wire]) -> History:
    """Return the events of a history as lines, by lane; the lane of what belongs to no branch is ``main``."""
    names = _Names(events)
    found: History = {}
    is_open: set[str] = set()
    for event in events:
        kind, subtype = event["EventType"], event.get("SubType", "")
        lane = names.lane(event.get("Id"))
        if kind == "InvocationCompleted":
            if is_open:
                continue
        elif subtype in BATCHES:
            (is_open.add if kind == "ContextStarted" else is_open.discard)(event["Id"])
        parts = [kind, subtype, names.path(event.get("Id")), *_facts(event)]
        found.setdefault(lane, []).append(" ".join(part for part in parts if part))
    return found


def payload(text: str | None) -> str:
    """Return a payload in the one form."""
    if text is None:
        return "-"
    try:
        value = json.loads(DIRECTORY.sub('"a directory"', text.replace(THEIR_MODULE, "")))
        shown = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)
    except ValueError:
        shown = f"text {text!r}"
    if len(shown) <= LONGEST:
        return shown
    return f"{shown[:40]}… {len(shown)} characters, {sha256(shown.encode()).hexdigest()[:12]}"


def error(wire: Mapping[str, Any] | None) -> str:
    """Return an error object in the one form."""
    if not wire:
        return "-"
    kind = str(wire.get("ErrorType") or "").rpartition(".")[2]
    message = "" if kind in OWN_WORDS else wire.get("ErrorMessage")
    data = str(wire.get("ErrorData") or "")
    return f"{kind}: {message}" + (f" data {data}" if data and not data.startswith(OUR_DATA) else "")


class _Names:
    """The paths of operations by their ids, from the events that name them."""

    def __init__(self, events: Sequence[Wire]) -> None:
        self._paths: dict[str, str] = {}
        self._lanes: dict[str, str] = {}
        self._subtypes: dict[str, str] = {}
        for event in events:
            if "Id" in event and event["Id"] not in self._paths and not event["EventType"].startswith("Execution"):
                self._add(event)

    def path(self, operation_id: str | None) -> str:
        return "" if operation_id is None else self._paths.get(operation_id, "")

    def lane(self, operation_id: str | None) -> str:
        return "main" if operation_id is None else self._lanes.get(operation_id, "main")

    def _add(self, event: Wire) -> None:
        operation_id, parent = event["Id"], event.get("ParentId")
        subtype = event.get("SubType", "")
        own = event.get("Name") or subtype
        path = f"{self._paths[parent]}/{own}" if parent in self._paths else own
        taken = set(self._paths.values())
        number = 2
        unique = path
        while unique in taken:
            unique, number = f"{path}#{number}", number + 1
        self._paths[operation_id] = unique
        self._subtypes[operation_id] = subtype
        is_branch = subtype in BRANCHES or self._subtypes.get(parent or "") in BATCHES
        self._lanes[operation_id] = unique if is_branch else self.lane(parent)


def _facts(event: Wire) -> Iterator[str]:
    details: Mapping[str, Any] = event.get(f"{event['EventType']}Details") or {}
    retry = details.get("RetryDetails") or {}
    if "CurrentAttempt" in retry and (event["EventType"] == "StepFailed" or retry.get("NextAttemptDelaySeconds")):
        yield f"attempt={retry['CurrentAttempt']}"
    if retry.get("NextAttemptDelaySeconds"):
        yield f"delay={retry['NextAttemptDelaySeconds']}"
    for name in ("Duration", "FunctionName"):
        if details.get(name):
            yield f"{name}={details[name]}"
    if "Result" in details and not retry.get("NextAttemptDelaySeconds"):
        yield f"result={payload((details['Result'] or {}).get('Payload'))}"
    if "Input" in details:
        yield f"input={payload((details['Input'] or {}).get('Payload'))}"
    if details.get("Error"):
        yield f"error={error((details['Error'] or {}).get('Payload'))}"


def _plain(value: Any) -> Any:
    """Leave out of the errors inside a value what is left out of errors elsewhere."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("ErrorType")
    kind = kind.get("v") if isinstance(kind, dict) else kind
    left_out = {"StackTrace", "file"} | ({"ErrorMessage"} if kind in OWN_WORDS else set())
    return {key: _plain(each) for key, each in value.items() if key not in left_out}
