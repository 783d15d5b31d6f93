"""The text of the checkpoint statements. Every write of an invocation is one of them: one statement, one round trip.

Each begins with `e`: the update of the execution's row, conditional on fence, batch and status. When it matches
nothing, nothing else in the statement does anything, so a stale holder writes 0 rows everywhere.
"""

from __future__ import annotations

from functools import lru_cache

# Times: an event that happened `age` seconds before the statement is stored at that time, but never before the event
# preceding it. `batch_started_at` and `last_event_at` carry the first and last time of the batch, both computed from
# the row's old `last_event_at`, so the order holds also when another writer came in while we waited for the row.
_MOVE = """batch = batch + 1,
    last_event_id = last_event_id + %(n)s,
    batch_started_at = greatest(last_event_at, clock_timestamp() - %(first_age)s * interval '1 second'),
    last_event_at = greatest(last_event_at, clock_timestamp() - %(last_age)s * interval '1 second')"""

_MINE = "id = %(id)s AND fence = %(fence)s AND batch = %(batch)s AND status = 'RUNNING'"

_RETURNING = "id, last_event_id, signal, status, batch_started_at, last_event_at, invocation_started_at, wake_at"

_EVENTS = """ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, parent_id, subtype, name, attempt,
                             payload, error, details, fence, event_at)
  SELECT e.id, e.last_event_id - %(n)s + u.n, u.event_type, u.operation_id, u.parent_id, u.subtype, u.name, u.attempt,
         u.payload, u.error, u.details::jsonb, %(fence)s,
         least(e.last_event_at, greatest(e.batch_started_at, clock_timestamp() - u.age * interval '1 second'))
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

# Up to so many events are written out as rows, each value a parameter: sending ten arrays costs a quick step a sixth
# of its time. More would not fit what psycopg keeps prepared in its cache (50 parameters).
MOST_ROWS = 3

_TIMERS = """tm AS (
  INSERT INTO durable_timer (execution_id, operation_id, kind, event_id, due_at)
  SELECT e.id, u.operation_id, u.kind, e.last_event_id - %(n)s + u.position,
         e.last_event_at + u.delay * interval '1 second'
  FROM e, unnest(%(timer_operation)s::text[], %(timer_kind)s::text[], %(timer_position)s::int[],
                 %(timer_delay)s::float8[]) AS u(operation_id, kind, position, delay)
  ON CONFLICT (execution_id, operation_id) DO UPDATE
     SET kind = excluded.kind, event_id = excluded.event_id, due_at = excluded.due_at
)"""

_CALLBACKS = """cb AS (
  INSERT INTO durable_callback (id, execution_id, operation_id, parent_id, name, status, timeout_seconds,
                                heartbeat_timeout_seconds, deadline, heartbeat_deadline, created_at, completed_by)
  SELECT u.id, e.id, u.operation_id, u.parent_id, u.name, 'STARTED', u.timeout, u.heartbeat,
         e.last_event_at + u.timeout * interval '1 second', e.last_event_at + u.heartbeat * interval '1 second',
         e.last_event_at, ''
  FROM e, unnest(%(callback_id)s::uuid[], %(callback_operation)s::text[], %(callback_parent)s::text[],
                 %(callback_name)s::text[], %(callback_timeout)s::float8[],
                 %(callback_heartbeat)s::float8[]) AS u(id, operation_id, parent_id, name, timeout, heartbeat)
)"""

# A closed execution waits for nothing: its timers go and its open callbacks are cancelled. A paused one keeps both.
_END_WAITS = """ot AS (DELETE FROM durable_timer USING e WHERE execution_id = e.id),
oc AS (UPDATE durable_callback SET status = 'CANCELLED', completed_at = clock_timestamp()
       FROM e WHERE execution_id = e.id AND durable_callback.status = 'STARTED')"""

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


def _rows(count: int) -> str:
    """Return the events as a table: `count` rows of single values, or arrays when `count` is 0."""
    if not count:
        arrays = ", ".join(f"%({column})s::{kind}[]" for column, kind in EVENT_COLUMNS.items())
        return f"unnest({arrays}) WITH ORDINALITY"
    rows = (
        ", ".join(f"%({column}_{row})s::{kind}" for column, kind in EVENT_COLUMNS.items())
        for row in range(1, count + 1)
    )
    return f"(VALUES {', '.join(f'({values}, {row})' for row, values in enumerate(rows, start=1))})"


@lru_cache(maxsize=256)
def write(kind: str, *, rows: int, timers: bool, callbacks: bool, labels: bool) -> str:
    """Return the statement that records a batch and, by `kind`, goes on, suspends, closes, pauses or releases.

    `rows` is the number of its events, or 0 when they come as arrays.
    """
    sets = [_MOVE, _SETS[kind]]
    if labels:
        sets.append("tags = tags || %(tags)s::jsonb, status_text = coalesce(%(status_text)s, status_text)")
    parts = [
        f"e AS (UPDATE durable_execution SET {', '.join(sets)} WHERE {_MINE} RETURNING {_RETURNING})",
        _EVENTS.format(rows=_rows(rows)),
    ]
    if timers:
        parts.append(_TIMERS)
    if callbacks:
        parts.append(_CALLBACKS)
    if kind == "close":
        parts.append(_END_WAITS)
    return (
        f"WITH {', '.join(parts)} SELECT last_event_id, signal, status, "
        "invocation_started_at, extract(epoch FROM wake_at - clock_timestamp())::float8 FROM e"
    )


# Due timers become their events before the history is read. A wait happened when it was due, not when somebody looked.
# `mine` locks the row first, so that a stale holder deletes no timer.
FIRE_DUE_TIMERS = """
WITH mine AS (
  SELECT id FROM durable_execution WHERE id = %(id)s AND fence = %(fence)s AND status = 'RUNNING' FOR UPDATE
), due AS (
  DELETE FROM durable_timer t USING mine
  WHERE t.execution_id = mine.id AND t.due_at <= clock_timestamp()
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
SELECT function, version, name, crash_count, signal, last_event_id, fence, status
FROM durable_execution WHERE id = %(id)s
"""

LOAD_EVENTS = """
SELECT event_id, event_type, operation_id, parent_id, subtype, name, attempt, payload, error, details
FROM durable_event WHERE execution_id = %(id)s AND event_id > %(after)s ORDER BY event_id
"""

# What others appended: our own events carry our fence, theirs none.
LOAD_FOREIGN_EVENTS = """
SELECT event_id, event_type, operation_id, parent_id, subtype, name, attempt, payload, error, details
FROM durable_event WHERE execution_id = %(id)s AND event_id > %(after)s AND event_id <= %(until)s
  AND fence IS DISTINCT FROM %(fence)s
ORDER BY event_id
"""

LOAD_TIMERS = "SELECT operation_id FROM durable_timer WHERE execution_id = %(id)s"

READ_POSITION = """
SELECT fence, batch, status, last_event_id, signal, invocation_started_at,
       extract(epoch FROM wake_at - clock_timestamp())::float8
FROM durable_execution WHERE id = %(id)s
"""
