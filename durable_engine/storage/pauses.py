"""Take an execution out of the running by an operator's hand, and let it in again."""

from __future__ import annotations

from django.db import connection

from durable_engine.models import Execution

# Like a close: a running invocation ends first in the history, and its worker's fence no longer matches. The claim of
# that invocation was no crash. `ready_at` stays, so that a delayed start is still delayed after the resume.
_PAUSE = """
WITH was AS (
  SELECT id, status = 'RUNNING' AS running, invocation_id, invocation_started_at
  FROM durable_execution WHERE id = %(id)s AND status IN ('PENDING', 'RUNNING', 'SUSPENDED') FOR UPDATE
), e AS (
  UPDATE durable_execution x
  SET status = 'PAUSED', paused_at = clock_timestamp(), pause_kind = 'operator', pause_reason = %(reason)s,
      fence = fence + 1, signal = signal + 1,
      last_event_id = last_event_id + CASE WHEN was.running THEN 1 ELSE 0 END,
      last_event_at = CASE WHEN was.running THEN greatest(last_event_at, clock_timestamp()) ELSE last_event_at END,
      worker_id = NULL, invocation_id = NULL, invocation_deadline = NULL, dispatched_at = NULL, wake_at = NULL
  FROM was WHERE x.id = was.id
  RETURNING x.id, x.last_event_id, x.last_event_at, was.running, was.invocation_id, was.invocation_started_at
), ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, details, event_at)
  SELECT id, last_event_id, 'InvocationCompleted',
         jsonb_build_object('request_id', invocation_id, 'started_at', invocation_started_at), last_event_at
  FROM e WHERE running
)
SELECT id FROM e
"""

# PENDING, not SUSPENDED: what fell due or was answered during the pause is found by replaying, and so is that it only
# waits. The execution timeout stood still.
_RESUME = """
UPDATE durable_execution
SET status = 'PENDING', signal = signal + 1, crash_count = 0,
    expires_at = expires_at + (clock_timestamp() - paused_at),
    ready_at = greatest(ready_at, clock_timestamp()),
    dispatched_at = CASE WHEN ready_at > clock_timestamp() THEN NULL ELSE clock_timestamp() END,
    paused_at = NULL, pause_kind = '', pause_reason = ''
WHERE id = %(id)s AND status = 'PAUSED'
RETURNING dispatched_at IS NOT NULL
"""


def pause_execution(execution: Execution, reason: str) -> bool:
    """Pause a locked execution until somebody resumes it. False when it is paused or closed already."""
    with connection.cursor() as cursor:
        cursor.execute(_PAUSE, {"id": execution.pk, "reason": reason})
        return cursor.fetchone() is not None


def resume_execution(execution: Execution) -> bool | None:
    """Make a locked, paused execution PENDING. Returns whether it wants a hint on commit; None when it isn't paused."""
    with connection.cursor() as cursor:
        cursor.execute(_RESUME, {"id": execution.pk})
        row = cursor.fetchone()
    return None if row is None else bool(row[0])
