"""The one table of statuses: word, tone, glyph and meaning of each. Badges, filters and the timeline read it.

`tone` names a colour of `static/css/tokens.css`; `glyph` is an SVG path in a 16 by 16 box, drawn in the text's colour.
A status is told by its word and its glyph; the colour only helps.
"""

import re
from dataclasses import dataclass

CLOCK = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M8 5v3.2l2.2 1.6"
CHECK = "M3 8.6l3.3 3.3L13 4.7"
CROSS = "M4 4l8 8M12 4l-8 8"
PLAY = "M5 3.2v9.6l7.5-4.8z"
CIRCLE = "M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10"
BARS = "M5.5 3.5v9M10.5 3.5v9"
HOURGLASS = "M4.5 2.5h7M4.5 13.5h7M5 2.5c0 3 3 3.6 3 5.5s-3 2.5-3 5.5M11 2.5c0 3-3 3.6-3 5.5s3 2.5 3 5.5"
SQUARE = "M4.2 4.2h7.6v7.6h-7.6z"
SLASH = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M4.2 4.2l7.6 7.6"
AGAIN = "M12.6 8a4.6 4.6 0 1 1-1.5-3.4M12.8 2.2v3.2h-3.2"
FORWARD = "M3.5 4l4 4l-4 4M8.5 4l4 4l-4 4"
PERSON = "M8 2.5a2.6 2.6 0 1 0 0 5.2a2.6 2.6 0 1 0 0-5.2M3 13.5c.4-3 2.4-4.3 5-4.3s4.6 1.3 5 4.3"
WARNING = "M8 2.4l6 11H2zM8 6.4v3.2M8 11.5v.2"


@dataclass(frozen=True, slots=True)
class Status:
    """How one status is shown."""

    code: str
    label: str
    tone: str
    glyph: str
    meaning: str


def _table(*rows: Status) -> dict[str, Status]:
    return {row.code: row for row in rows}


EXECUTION_STATUSES = _table(
    Status("PENDING", "Pending", "pending", CIRCLE, "Ready to run; no worker has taken it yet."),
    Status("RUNNING", "Running", "running", PLAY, "A worker is running its handler now."),
    Status("SUSPENDED", "Suspended", "waiting", CLOCK, "Waits without using a worker, and goes on by itself."),
    Status("PAUSED", "Paused", "paused", BARS, "Stands still until somebody resumes it."),
    Status("SUCCEEDED", "Succeeded", "succeeded", CHECK, "Its handler returned a result."),
    Status("FAILED", "Failed", "failed", CROSS, "Its handler ended with an error."),
    Status("TIMED_OUT", "Timed out", "timed-out", HOURGLASS, "It did not end within its execution timeout."),
    Status("STOPPED", "Stopped", "stopped", SQUARE, "Somebody ended it before its handler did."),
)

OPERATION_STATUSES = _table(
    Status("STARTED", "Running", "running", PLAY, "Has begun and has no outcome yet."),
    Status("WAITING", "Waiting", "waiting", CLOCK, "Waits for its time or for an answer."),
    Status("PENDING", "Backing off", "retrying", AGAIN, "Tries again after its delay."),
    Status("READY", "Ready", "pending", FORWARD, "Its delay is over; it runs with the next invocation."),
    Status("SUCCEEDED", "Succeeded", "succeeded", CHECK, "Its result is recorded and it never runs again."),
    Status("FAILED", "Failed", "failed", CROSS, "Its last attempt failed and it tries no more."),
    Status("TIMED_OUT", "Timed out", "timed-out", HOURGLASS, "No answer came in time."),
    Status("STOPPED", "Stopped", "stopped", SQUARE, "Somebody ended it."),
    Status("INTERRUPTED", "Interrupted", "timed-out", SLASH, "Its worker went away before it had an outcome."),
    Status("CANCELLED", "Cancelled", "stopped", SLASH, "Its execution, or its batch, ended first."),
)

BULK_STATUSES = _table(
    Status("DRAFT", "Not started", "pending", CIRCLE, "Its executions are chosen; nothing is done to them yet."),
    Status("RUNNING", "Running", "running", PLAY, "It goes through its executions."),
    Status(
        "HELD", "Waits for a decision", "paused", BARS, "The first few are done; somebody has to decide about the rest."
    ),
    Status("DONE", "Done", "succeeded", CHECK, "It is through with all its executions."),
    Status("CANCELLED", "Cancelled", "stopped", SLASH, "Somebody ended it; what it had done stays done."),
)

BULK_ITEM_STATUSES = _table(
    Status("PENDING", "Waiting", "pending", CIRCLE, "Its turn has not come."),
    Status("DONE", "Done", "succeeded", CHECK, "The action was carried out."),
    Status("REFUSED", "Refused", "timed-out", SLASH, "The action does not apply to it."),
    Status("FAILED", "Failed", "failed", CROSS, "An error of the engine; nothing was changed."),
    Status("CANCELLED", "Cancelled", "stopped", SLASH, "The bulk action was cancelled before its turn."),
)

SCHEDULE_OUTCOMES = _table(
    Status("STARTED", "Started", "running", PLAY, "An execution was started."),
    Status("SKIPPED", "Skipped", "stopped", SLASH, "The execution before it was still live."),
    Status("WAITING", "Waiting", "waiting", CLOCK, "It starts when the execution before it has ended."),
    Status("MISSED", "Missed", "timed-out", HOURGLASS, "No scheduler was at work, and it is not caught up."),
    Status("REFUSED", "Refused", "failed", CROSS, "The execution could not be started."),
)

# What only time or the outside completes is waiting, not running.
WAITING_TYPES = frozenset({"WAIT", "CALLBACK", "CHAINED_INVOKE"})

# What handler authors call it, where that differs from the recorded subtype.
KINDS = {"Run In Child Context": "child context", "Chained Invoke": "invoke"}


def execution_status(code: str) -> Status:
    """The row of an execution's status; an unknown code is shown as it is."""
    return EXECUTION_STATUSES.get(code) or _unknown(code)


def operation_status(operation_type: str, code: str) -> Status:
    """The row of an operation's status: what a step does while it runs, a wait does by waiting."""
    if code == "STARTED" and operation_type.upper() in WAITING_TYPES:
        code = "WAITING"
    return OPERATION_STATUSES.get(code) or _unknown(code)


def operation_kind(operation_type: str, subtype: str | None) -> str:
    """What kind of operation it is, in words: `wait for callback`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", subtype or operation_type.replace("_", " ").title())
    return KINDS.get(words, words.lower())


def _unknown(code: str) -> Status:
    return Status(code, code.replace("_", " ").capitalize(), "pending", CIRCLE, "")
