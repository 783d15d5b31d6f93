"""Many executions by a few statements, to try pages and queries at a size. No worker ever runs any of it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from durable_engine.storage.connection import EngineConnection

# Functions of this prefix are nobody's, so what is generated can be told from what is real, and removed.
PREFIX: Final = "load-"
FUNCTIONS: Final = tuple(
    f"{PREFIX}{name}"
    for name in ("orders", "payments", "emails", "reports", "imports", "invoices", "shipping", "cleanup")
)
WIDE: Final = f"{PREFIX}wide"

# Of a thousand 40 fail, 8 time out, 8 are stopped; of those of the last hours some are still live. The ids are such as
# the engine makes, with the time of the start in front: neighbours in time are neighbours on disk.
_DRAW = """
CREATE TEMP TABLE generated ON COMMIT DROP AS
WITH numbers AS (
  SELECT n, random() AS r, random() * 1000 AS s, md5(random()::text || n) AS h,
         clock_timestamp() - %(days)s * interval '1 day' * power(random(), 1.3) - interval '1 minute' AS created_at
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
), drawn AS (
  SELECT n, h, s, (%(functions)s::text[])[1 + floor(power(r, 2) * cardinality(%(functions)s::text[]))::int] AS function,
         created_at, created_at > clock_timestamp() - interval '6 hours' AS is_recent,
         1 + (created_at > clock_timestamp() - %(days)s * interval '1 day' / 4)::int AS version,
         -- Most take less than a few seconds, some take minutes.
         exp(ln(0.2) + 5 * power(random(), 2)) * (1 + 3 * r) AS seconds
  FROM numbers
)
SELECT (lpad(to_hex((extract(epoch FROM created_at) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3)
        || to_hex(8 + (n & 3)::int) || substr(h, 4, 15))::uuid AS id,
       n, function, version,
       CASE WHEN s < 40 THEN 'FAILED' WHEN s < 48 THEN 'TIMED_OUT' WHEN s < 56 THEN 'STOPPED'
            WHEN s < 116 AND is_recent THEN 'SUSPENDED' WHEN s < 118 AND is_recent THEN 'PAUSED'
            ELSE 'SUCCEEDED' END AS status,
       (ARRAY['CardDeclined', 'ProviderTimeout', 'KeyError'])[1 + n %% 3] AS error_type,
       created_at, least(created_at + seconds * interval '1 second', clock_timestamp()) AS ended_at
FROM drawn
"""
_EXECUTIONS = """
INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, tags, status_text,
    fence, batch, last_event_id, signal, crash_count, last_event_at, pause_kind, pause_reason, error_type,
    error_message, created_at, closed_at, paused_at, wake_at, parent_notified)
SELECT id, function, version, 'load-' || replace(id::text, '-', ''), '', status, 'durable', 0,
    jsonb_build_object('customer', 'c-' || n % 5000, 'region', (ARRAY['eu', 'us', 'ap'])[1 + n % 3]), '',
    1, 1, CASE WHEN status = 'FAILED' THEN 4 ELSE 2 END, 0, 0, ended_at,
    CASE WHEN status = 'PAUSED' THEN 'operator' ELSE '' END, '',
    CASE status WHEN 'FAILED' THEN error_type WHEN 'TIMED_OUT' THEN 'ExecutionTimedOut'
                WHEN 'STOPPED' THEN 'ExecutionStopped' ELSE '' END,
    CASE WHEN status = 'FAILED' THEN 'request ' || n || ' was refused' ELSE '' END,
    created_at, CASE WHEN status IN ('SUSPENDED', 'PAUSED') THEN NULL ELSE ended_at END,
    CASE WHEN status = 'PAUSED' THEN ended_at END,
    CASE WHEN status = 'SUSPENDED' THEN clock_timestamp() + interval '30 days' END, true
FROM generated
"""
_TIMERS = """
INSERT INTO durable_timer (execution_id, operation_id, kind, event_id, due_at)
SELECT id, '1', 'wait', 2, clock_timestamp() + interval '30 days' FROM generated WHERE status IN ('SUSPENDED', 'PAUSED')
"""
_EVENTS = """
INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, name, subtype, attempt, payload, error,
                           details, event_at)
SELECT g.id, e.event_id, e.event_type, e.operation_id, e.name, e.subtype, e.attempt, e.payload, e.error, e.details,
       CASE WHEN e.at_end THEN g.ended_at ELSE g.created_at END
FROM generated g
CROSS JOIN LATERAL (SELECT jsonb_build_object(
  'ErrorType', g.error_type, 'ErrorMessage', 'request ' || g.n || ' was refused', 'StackTrace',
  jsonb_build_array('File "/app/' || g.function || '.py", line 42, in call_provider'))::text AS text) error
CROSS JOIN LATERAL (VALUES
  (true, 1, 'ExecutionStarted', NULL, NULL, NULL, NULL::int, '{"number": ' || g.n || '}', NULL, NULL::jsonb, false),
  (g.status IN ('SUSPENDED', 'PAUSED'), 2, 'WaitStarted', '1', 'until later', 'Wait', NULL, NULL, NULL,
   '{"duration_seconds": 2592000}', true),
  (g.status = 'FAILED', 2, 'StepStarted', '1', 'call the provider', 'Step', 1, NULL, NULL, NULL, false),
  (g.status = 'FAILED', 3, 'StepFailed', '1', 'call the provider', 'Step', 1, NULL, error.text, NULL, true),
  (g.status = 'FAILED', 4, 'ExecutionFailed', NULL, NULL, NULL, NULL, NULL, error.text, NULL, true),
  (g.status = 'SUCCEEDED', 2, 'ExecutionSucceeded', NULL, NULL, NULL, NULL, '"done"', NULL, NULL, true),
  (g.status = 'STOPPED', 2, 'ExecutionStopped', NULL, NULL, NULL, NULL, NULL,
   '{"ErrorType": "ExecutionStopped", "ErrorMessage": "stopped"}', NULL, true),
  (g.status = 'TIMED_OUT', 2, 'ExecutionTimedOut', NULL, NULL, NULL, NULL, NULL,
   '{"ErrorType": "ExecutionTimedOut", "ErrorMessage": "Execution timed out after 60 seconds."}', NULL, true)
) AS e(applies, event_id, event_type, operation_id, name, subtype, attempt, payload, error, details, at_end)
WHERE e.applies
"""
_FUNCTIONS = """
INSERT INTO durable_function (name, version, description, config, fingerprint, seen_at)
SELECT name, version, 'Made by generate_load; no worker serves it.', '{"queue": "durable"}', '', clock_timestamp()
FROM unnest(%s::text[]) AS name, (VALUES (1), (2)) AS v(version)
ON CONFLICT DO NOTHING
"""

# One execution of many steps: a tenth of a second each, every fiftieth tried twice, a pause after every thousandth.
_WIDE = """
WITH x AS (
  INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, tags, status_text,
      fence, batch, last_event_id, signal, crash_count, last_event_at, pause_kind, pause_reason, error_type,
      error_message, created_at, closed_at, parent_notified)
  SELECT %(id)s, %(function)s, 1, 'load-' || replace(%(id)s::text, '-', ''), '', 'SUCCEEDED', 'durable', 0, '{}', '',
         1, 1, 0, 0, 0, t.began + interval '1 day', '', '', '', '', t.began, t.began + interval '1 day', true
  FROM (SELECT clock_timestamp() - interval '2 days' AS began) t
  RETURNING id, created_at
), steps AS (
  SELECT n, n / 1000 * interval '10 minutes' + n * interval '0.1 s' AS after, n %% 50 = 0 AS has_retry
  FROM generate_series(1, %(steps)s::int) AS n
), facts AS (
  SELECT 0 AS n, 0 AS place, 'ExecutionStarted' AS event_type, NULL::int AS attempt, interval '0' AS after,
         '{"steps": ' || %(steps)s || '}' AS payload, NULL::text AS error, NULL::jsonb AS details
  UNION ALL SELECT n, 1, 'StepStarted', 1, after, NULL, NULL, NULL FROM steps
  UNION ALL SELECT n, 2, 'StepFailed', 1, after + interval '0.02 s', NULL,
                   '{"ErrorType": "Timeout", "ErrorMessage": "no answer"}', '{"next_attempt_delay_seconds": 0.03}'
  FROM steps WHERE has_retry
  UNION ALL SELECT n, 3, 'StepStarted', 2, after + interval '0.05 s', NULL, NULL, NULL FROM steps WHERE has_retry
  UNION ALL SELECT n, 4, 'StepSucceeded', 1 + has_retry::int, after + interval '0.09 s', n::text, NULL, NULL FROM steps
  UNION ALL SELECT %(steps)s + 1, 0, 'InvocationCompleted', NULL, interval '1 day', NULL, NULL,
                   jsonb_build_object('request_id', %(id)s, 'started_at', clock_timestamp() - interval '2 days')
  UNION ALL SELECT %(steps)s + 1, 1, 'ExecutionSucceeded', NULL, interval '1 day', '"done"', NULL, NULL
), written AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, name, subtype, attempt, payload, error,
                             details, event_at)
  SELECT x.id, row_number() OVER (ORDER BY f.n, f.place), f.event_type,
         CASE WHEN f.attempt IS NOT NULL THEN f.n::text END, CASE WHEN f.attempt IS NOT NULL THEN 'step ' || f.n END,
         CASE WHEN f.attempt IS NOT NULL THEN 'Step' END, f.attempt, f.payload, f.error, f.details,
         x.created_at + f.after
  FROM facts f, x
  RETURNING event_id
)
SELECT max(event_id) FROM written
"""


def add_executions(connection: EngineConnection, first: int, last: int, *, days: float) -> None:
    """Add the executions of these numbers, begun within the last days, in one transaction."""
    with connection.transaction():
        params = {"first": first, "last": last, "days": days, "functions": list(FUNCTIONS)}
        connection.execute(_FUNCTIONS, ([*FUNCTIONS, WIDE],))
        connection.execute(_DRAW, params)
        for statement in (_EXECUTIONS, _TIMERS, _EVENTS):
            connection.execute(statement)


def add_wide_execution(connection: EngineConnection, execution_id: UUID, steps: int) -> None:
    """Add one execution of so many steps, which took a day."""
    with connection.transaction():
        params = {"id": execution_id, "function": WIDE, "steps": steps}
        row = connection.execute(_WIDE, params).fetchone()
        last = row[0] if row else 0
        connection.execute("UPDATE durable_execution SET last_event_id = %s WHERE id = %s", (last, execution_id))


def remove_some(connection: EngineConnection, limit: int) -> int:
    """Delete up to so many generated executions with all that hangs on them; return how many there were."""
    with connection.transaction():
        rows = connection.execute(
            "SELECT id FROM durable_execution WHERE function = ANY(%s) LIMIT %s", ([*FUNCTIONS, WIDE], limit)
        ).fetchall()
        ids = [row[0] for row in rows]
        for table in ("durable_event", "durable_timer", "durable_callback", "durable_failure"):
            connection.execute(f"DELETE FROM {table} WHERE execution_id = ANY(%s)", (ids,))
        connection.execute("DELETE FROM durable_execution WHERE id = ANY(%s)", (ids,))
        return len(ids)


def remove_functions(connection: EngineConnection) -> None:
    """Delete the generated functions, their rollups and their groups of failures."""
    names = [*FUNCTIONS, WIDE]
    with connection.transaction():
        connection.execute(
            "DELETE FROM durable_failure_count WHERE group_id IN"
            " (SELECT id FROM durable_failure_group WHERE function = ANY(%s))",
            (names,),
        )
        for table in ("durable_failure_group", "durable_rollup"):
            connection.execute(f"DELETE FROM {table} WHERE function = ANY(%s)", (names,))
        connection.execute("DELETE FROM durable_function WHERE name = ANY(%s)", (names,))
