"""The text of the checkpoint statements. Every write of an invocation is one of them: one statement, one round trip.

Each begins with `e`: the update of the execution's row, conditional on fence, batch and status. When it matches
nothing, nothing else in the statement does anything, so a stale holder writes 0 rows everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from durable_engine.storage.conditions import has_status

# Times: an event that happened `age` seconds before the statement is stored at that time, but never before the event
# preceding it. `batch_started_at` and `last_event_at` carry the first and last time of the batch, both computed from
# the row's old `last_event_at`, so the order holds also when another writer came in while we waited for the row.
_MOVE = """batch = batch + 1,
    last_event_id = last_event_id + %(n)s,
    batch_started_at = greatest(last_event_at, clock_timestamp() - %(first_age)s * interval '1 second'),
    last_event_at = greatest(last_event_at, clock_timestamp() - %(last_age)s * interval '1 second')"""

_MINE = f"id = %(id)s AND fence = %(fence)s AND batch = %(batch)s AND {has_status('status', 'RUNNING')}"

_RETURNING = """id, function, last_event_id, signal, status, batch_started_at, last_event_at, invocation_started_at,
    wake_at"""

# When an event of the batch happened: `age` seconds before the last one of it.
_AT = "least(e.last_event_at, greatest(e.batch_started_at, e.last_event_at - u.age * interval '1 second'))"

_EVENTS = """ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, parent_id, subtype, name, attempt,
                             payload, error, details, fence, event_at)
  SELECT e.id, e.last_event_id - %(n)s + u.n, u.event_type, u.operation_id, u.parent_id, u.subtype, u.name, u.attempt,
         u.payload, u.error, u.details::jsonb, %(fence)s,
         {at}
  FROM e, {rows} AS u(event_type, operation_id, parent_id, subtype, name, attempt, payload, error, details, age, n)
)"""

# The columns of an event and their types, in the order of `u`.
EVENT_COLUMNS = {
    "event_type": "text",
    "operation_id": "text",
    "parent_id": "text",
    "subtype": "text",
    "name": "text",
    "attempt": "int",
    "payload": "text",
    "error": "text",
    "details": "text",
    "age": "float8",
}

# Up to so many events are written out as rows, each value a parameter. More would not fit what psycopg keeps prepared
# in its cache (50 parameters), and are one parameter of JSON: its arrays are put together and escaped in Python, which
# takes five times as long.
MOST_ROWS = 3

# What of an event is a parameter, column by column: each parameter costs the driver and the server as much as a few
# lines of Python. Absent is written as NULL, what the first event of the batch has too is named once; the type of the
# event stands in the statement.
PARAMETER, ABSENT, AS_FIRST = "pa1"


class RowShape(NamedTuple):
    """How an event is written out as a row: its type, and for each column after it PARAMETER, ABSENT or AS_FIRST."""

    event_type: str
    columns: str


# A timer starts with its event, to the microsecond: nobody must see a wait end before it is over.
_TIMERS = f"""tm AS (
  INSERT INTO durable_timer (execution_id, operation_id, kind, event_id, due_at)
  SELECT e.id, u.operation_id, u.kind, e.last_event_id - %(n)s + u.position,
         {_AT} + u.delay * interval '1 second'
  FROM e, unnest(%(timer_operation)s::text[], %(timer_kind)s::text[], %(timer_position)s::int[],
                 %(timer_age)s::float8[], %(timer_delay)s::float8[]) AS u(operation_id, kind, position, age, delay)
  ON CONFLICT (execution_id, operation_id) DO UPDATE
     SET kind = excluded.kind, event_id = excluded.event_id, due_at = excluded.due_at
)"""

_CALLBACKS = """cb AS (
  INSERT INTO durable_callback (id, execution_id, operation_id, parent_id, name, status, timeout_seconds,
                                heartbeat_timeout_seconds, deadline, heartbeat_deadline, created_at, completed_by,
                                key_function, key)
  SELECT u.id, e.id, u.operation_id, u.parent_id, u.name, 'STARTED', u.timeout, u.heartbeat,
         e.last_event_at + u.timeout * interval '1 second', e.last_event_at + u.heartbeat * interval '1 second',
         e.last_event_at, '', CASE WHEN u.key IS NOT NULL THEN e.function END, u.key
  FROM e, unnest(%(callback_id)s::uuid[], %(callback_operation)s::text[], %(callback_parent)s::text[],
                 %(callback_name)s::text[], %(callback_timeout)s::float8[],
                 %(callback_heartbeat)s::float8[],
                 %(callback_key)s::text[]) AS u(id, operation_id, parent_id, name, timeout, heartbeat, key)
)"""

# Child executions, each with its first event. A caller's hint marks the row as dispatched, as at any start.
_CHILDREN = """nc AS (
  SELECT * FROM unnest(%(child_id)s::uuid[], %(child_operation)s::text[], %(child_function)s::text[],
                       %(child_version)s::int[], %(child_queue)s::text[], %(child_timeout)s::float8[],
                       %(child_input)s::text[], %(child_details)s::text[])
    AS u(id, operation_id, function, version, queue, timeout, input, details)
), ch AS (
  INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, tags, status_text,
                                 fence, batch, last_event_id, signal, crash_count, last_event_at, ready_at,
                                 dispatched_at, expires_at, pause_kind, pause_reason, error_type, error_message,
                                 created_at, parent_execution_id, parent_operation_id, parent_notified)
  SELECT nc.id, nc.function, nc.version, nc.id::text, '', 'PENDING', nc.queue, 0, '{}'::jsonb, '', 0, 0, 1, 0, 0,
         e.last_event_at, e.last_event_at, e.last_event_at, e.last_event_at + nc.timeout * interval '1 second',
         '', '', '', '', e.last_event_at, e.id, nc.operation_id, false
  FROM e, nc
), ce AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, payload, details, event_at)
  SELECT nc.id, 1, 'ExecutionStarted', nc.input, nc.details::jsonb, e.last_event_at FROM e, nc
)"""

# The successor of an execution that continues as new: under its name, which the update of `e` has set free, with its
# tags and for its parent. `was` locks the row and keeps what the update takes away: the execution that ended is no
# operation's child any more.
_WAS = f"""was AS MATERIALIZED (
  SELECT id AS was_id, parent_execution_id AS was_parent, parent_operation_id AS was_operation,
         parent_notified AS was_notified
  FROM durable_execution WHERE {_MINE} FOR UPDATE
)"""
_SUCCESSOR = """nx AS (
  INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, tags, status_text,
                                 fence, batch, last_event_id, signal, crash_count, last_event_at, ready_at,
                                 dispatched_at, expires_at, pause_kind, pause_reason, error_type, error_message,
                                 created_at, origin_id, origin_kind, parent_execution_id, parent_operation_id,
                                 parent_notified)
  SELECT %(next_id)s::uuid, %(next_function)s, %(next_version)s,
         CASE WHEN e.name = e.id::text THEN %(next_id)s::text ELSE e.name END, e.payload_hash, 'PENDING',
         %(next_queue)s, e.priority, e.tags, '', 0, 0, 1, 0, 0, e.last_event_at, e.last_event_at, e.last_event_at,
         e.last_event_at + %(next_timeout)s::float8 * interval '1 second', '', '', '', '', e.last_event_at, e.id,
         'continue', was.was_parent, was.was_operation, was.was_notified
  FROM e, was
), ne AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, payload, details, event_at)
  SELECT %(next_id)s::uuid, 1, 'ExecutionStarted', %(next_input)s, %(next_details)s::jsonb, e.last_event_at FROM e
)"""

# A closed execution waits for nothing: its timers go and its open callbacks are cancelled. A paused one keeps both.
_END_WAITS = """ot AS (DELETE FROM durable_timer USING e WHERE execution_id = e.id),
oc AS (UPDATE durable_callback SET status = 'CANCELLED', completed_at = clock_timestamp()
       FROM e WHERE execution_id = e.id AND durable_callback.status = 'STARTED')"""

# The same for operations of branches that were left behind.
_ABANDON = """at AS (DELETE FROM durable_timer USING e WHERE execution_id = e.id AND operation_id = ANY(%(abandoned)s)),
ac AS (UPDATE durable_callback SET status = 'CANCELLED', completed_at = clock_timestamp() FROM e
       WHERE execution_id = e.id AND durable_callback.status = 'STARTED' AND operation_id = ANY(%(abandoned)s))"""

_GIVE_UP = "worker_id = NULL, invocation_id = NULL, invocation_deadline = NULL"

_CONTINUES = "signal <> %(signal)s"  # an outside event came in that this invocation has not seen

_SETS = {
    "checkpoint": "crash_count = CASE WHEN %(progress)s THEN 0 ELSE crash_count END",
    "suspend": f"""status = CASE WHEN {_CONTINUES} THEN 'RUNNING' ELSE 'SUSPENDED' END,
    crash_count = CASE WHEN {_CONTINUES} THEN 1 ELSE 0 END,
    worker_id = CASE WHEN {_CONTINUES} THEN worker_id END,
    invocation_id = CASE WHEN {_CONTINUES} THEN %(next_invocation_id)s::uuid END,
    invocation_started_at = CASE WHEN {_CONTINUES} THEN clock_timestamp() ELSE invocation_started_at END,
    invocation_deadline = CASE WHEN {_CONTINUES} THEN clock_timestamp()
        + %(invocation_seconds)s * interval '1 second' END,
    wake_at = CASE WHEN {_CONTINUES} THEN NULL ELSE least(
        (SELECT min(due_at) FROM durable_timer WHERE execution_id = %(id)s),
        greatest(last_event_at, clock_timestamp() - %(last_age)s * interval '1 second')
          + %(least_delay)s::float8 * interval '1 second') END""",
    "close": f"""status = %(status)s, closed_at = clock_timestamp(), error_type = %(error_type)s,
    error_message = %(error_message)s, crash_count = 0, {_GIVE_UP}""",
    "pause": f"""status = 'PAUSED', paused_at = clock_timestamp(), pause_kind = %(pause_kind)s,
    pause_reason = %(pause_reason)s, {_GIVE_UP}""",
    "release": f"""status = 'PENDING', ready_at = clock_timestamp(), dispatched_at = NULL,
    crash_count = greatest(crash_count - 1, 0), {_GIVE_UP}""",
}

_SETS["continue"] = f"""{_SETS["close"]}, superseded_by = %(next_id)s::uuid, parent_notified = true,
    parent_operation_id = NULL"""
_HANDED_ON = "name, payload_hash, priority, tags"


def _rows(shapes: Sequence[RowShape]) -> str:
    """Return the events as a table: rows of single values, or a JSON array of rows when there are no shapes."""
    if not shapes:
        columns = ", ".join(f"{column} {kind}" for column, kind in EVENT_COLUMNS.items())
        return f"(SELECT * FROM json_to_recordset(%(rows)s::json) AS r({columns}, n int))"
    return f"(VALUES {', '.join(f'({_row(shape, n)}, {n})' for n, shape in enumerate(shapes, start=1))})"


def _row(shape: RowShape, n: int) -> str:
    _, *columns = EVENT_COLUMNS.items()
    values = [f"'{shape.event_type}'::text"]
    for (column, kind), source in zip(columns, shape.columns, strict=True):
        row = 1 if source == AS_FIRST else n
        values.append(f"NULL::{kind}" if source == ABSENT else f"%({column}_{row})s::{kind}")
    return ", ".join(values)


@lru_cache(maxsize=256)
def write(
    kind: str,
    *,
    rows: tuple[RowShape, ...],
    timers: bool,
    callbacks: bool,
    labels: bool,
    children: bool = False,
    abandons: bool = False,
) -> str:
    """Return the statement that records a batch and does what `kind` says.

    `kind` is checkpoint, suspend, close, continue (as new), pause or release. `rows` are the shapes of its
    events; none when they come as JSON.
    """
    sets = [_MOVE, _SETS[kind]]
    if labels:
        sets.append("tags = tags || %(tags)s::jsonb, status_text = coalesce(%(status_text)s, status_text)")
    update = f"UPDATE durable_execution SET {', '.join(sets)}"
    if kind == "continue":
        row = f"{update} FROM was WHERE id = was_id AND {_MINE} RETURNING {_RETURNING}, {_HANDED_ON}"
        parts = [_WAS, f"e AS ({row})", _SUCCESSOR]
    else:
        parts = [f"e AS ({update} WHERE {_MINE} RETURNING {_RETURNING})"]
    parts.append(_EVENTS.format(rows=_rows(rows), at=_AT))
    if timers:
        parts.append(_TIMERS)
    if callbacks:
        parts.append(_CALLBACKS)
    if children:
        parts.append(_CHILDREN)
    if kind in {"close", "continue"}:
        parts.append(_END_WAITS)
    elif abandons:
        parts.append(_ABANDON)
    return (
        f"WITH {', '.join(parts)} SELECT last_event_id, signal, status, "
        "invocation_started_at, extract(epoch FROM wake_at - clock_timestamp())::float8 FROM e"
    )


# Due timers become their events before the history is read. A wait happened when it was due, not when somebody looked.
# `mine` locks the row first, so that a stale holder deletes no timer; it writes nothing when none is due.
FIRE_DUE_TIMERS = f"""
WITH mine AS (
  SELECT id FROM durable_execution WHERE id = %(id)s AND fence = %(fence)s AND {has_status("status", "RUNNING")}
    AND EXISTS (SELECT FROM durable_timer WHERE execution_id = %(id)s AND due_at <= statement_timestamp()) FOR UPDATE
), due AS (
  DELETE FROM durable_timer t USING mine
  WHERE t.execution_id = mine.id AND t.due_at <= statement_timestamp()
  RETURNING t.kind, t.event_id, t.due_at
), waits AS (
  SELECT row_number() OVER (ORDER BY due.due_at, due.event_id) AS n, due.due_at, s.operation_id, s.parent_id, s.subtype,
         s.name, s.details
  FROM due JOIN durable_event s ON s.execution_id = %(id)s AND s.event_id = due.event_id
  WHERE due.kind = 'wait'
), e AS (
  UPDATE durable_execution x
  SET last_event_id = x.last_event_id + w.n, batch_started_at = greatest(x.last_event_at, w.first_due_at),
      last_event_at = greatest(x.last_event_at, w.last_due_at)
  FROM (SELECT count(*) AS n, min(due_at) AS first_due_at, max(due_at) AS last_due_at FROM waits) w
  WHERE x.id = %(id)s AND w.n > 0
  RETURNING x.last_event_id, x.batch_started_at, x.last_event_at, w.n AS fired
)
INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, parent_id, subtype, name, details,
                           event_at)
SELECT %(id)s, e.last_event_id - e.fired + waits.n, 'WaitSucceeded', waits.operation_id, waits.parent_id, waits.subtype,
       waits.name, waits.details, least(e.last_event_at, greatest(e.batch_started_at, waits.due_at))
FROM e, waits
"""

LOAD_EXECUTION = """
SELECT crash_count, signal, last_event_id, fence, status FROM durable_execution WHERE id = %(id)s
"""

LOAD_EVENTS = """
SELECT event_id, event_type, operation_id, parent_id, subtype, name, attempt, payload, error, details
FROM durable_event WHERE execution_id = %(id)s AND event_id > %(after)s ORDER BY event_id
"""

LOAD_EVENT_TIMES = "SELECT event_id, event_at FROM durable_event WHERE execution_id = %(id)s"

# What others appended: our own events carry our fence, theirs none.
LOAD_FOREIGN_EVENTS = """
SELECT event_id, event_type, operation_id, parent_id, subtype, name, attempt, payload, error, details
FROM durable_event WHERE execution_id = %(id)s AND event_id > %(after)s AND event_id <= %(until)s
  AND fence IS DISTINCT FROM %(fence)s
ORDER BY event_id
"""

LOAD_TIMERS = """
SELECT operation_id, extract(epoch FROM due_at - clock_timestamp())::float8
FROM durable_timer WHERE execution_id = %(id)s
"""

READ_POSITION = """
SELECT fence, batch, last_event_id, signal, status, invocation_started_at,
       extract(epoch FROM wake_at - clock_timestamp())::float8
FROM durable_execution WHERE id = %(id)s
"""

# Waits for a transaction that holds the row: a commit whose reply was lost may be under way still.
LOCK_POSITION = f"{READ_POSITION} FOR UPDATE"
