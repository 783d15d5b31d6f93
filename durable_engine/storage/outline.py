"""The outline of an execution, however long: counted, folded, laid out as a tree and cut to a window by the database.

One statement, because each look at the events of a long execution costs tens of milliseconds, and none of its twenty
thousand operations should travel to be counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from durable_engine.models import Event

# What an operation's newest event makes of it. Digits, so that one aggregate finds the newest event and its effect.
STATUSES = ("STARTED", "PENDING", "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED", "CANCELLED")

# Nothing is known about how many rows a part has, so the planner would rather loop over twenty thousand rows for each
# of twenty thousand others than sort or hash them, and would spend seconds on compiling what runs for milliseconds.
_PLANNING = """SELECT set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true),
  set_config('jit', 'off', true), set_config('work_mem', '64MB', true)"""

# `int8send` makes eight bytes that sort as the number does: paths of them sort parents before their children, in the
# order they began, at a fraction of the cost of sorting arrays.
_OUTLINE = """
WITH RECURSIVE operation AS MATERIALIZED (
  SELECT operation_id AS id, min(parent_id) AS parent_id, min(name) AS name, min(event_id) AS first_event,
    max(event_id * 8 + CASE
      WHEN event_type IN ('StepStarted', 'WaitStarted', 'CallbackStarted', 'ContextStarted', 'ChainedInvokeStarted')
        THEN 0
      WHEN details IS NOT NULL AND details ? 'next_attempt_delay_seconds' THEN 1
      WHEN event_type IN
        ('StepSucceeded', 'WaitSucceeded', 'CallbackSucceeded', 'ContextSucceeded', 'ChainedInvokeSucceeded') THEN 2
      WHEN event_type IN ('StepFailed', 'CallbackFailed', 'ContextFailed', 'ChainedInvokeFailed') THEN 3
      WHEN event_type IN ('CallbackTimedOut', 'ChainedInvokeTimedOut') THEN 4
      WHEN event_type = 'ChainedInvokeStopped' THEN 5
      ELSE 6 END) AS newest,
    min(event_at) AS started_at, max(event_at) AS changed_at, count(*) AS events
  FROM durable_event WHERE execution_id = %(execution_id)s AND operation_id IS NOT NULL
  GROUP BY operation_id
), fold AS MATERIALIZED (
  SELECT parent_id, name, min(first_event) AS leader
  FROM operation WHERE newest %% 8 = 2 AND name IS NOT NULL AND %(fold)s
  GROUP BY parent_id, name HAVING count(*) >= %(least_folded)s
), folding AS MATERIALIZED (
  SELECT operation.id, operation.parent_id, first_event, newest, operation.started_at, leader,
    newest %% 8 = ANY (%(statuses)s) AND (%(text)s = '' OR operation.name ILIKE %(text_like)s OR id LIKE %(id_like)s)
    AND (%(group)s = 0 OR newest %% 8 = 2 AND (coalesce(operation.parent_id, ''), operation.name) IN (
      SELECT coalesce(kin.parent_id, ''), kin.name FROM operation kin WHERE kin.first_event = %(group)s)) AS wanted
  FROM operation LEFT JOIN fold ON newest %% 8 = 2 AND fold.name = operation.name
    AND coalesce(fold.parent_id, '') = coalesce(operation.parent_id, '')
), tree AS (
  SELECT id, first_event, newest, started_at, leader, wanted, int8send(first_event) AS path, 0 AS depth
  FROM folding WHERE parent_id IS NULL OR parent_id NOT IN (SELECT id FROM operation)
  UNION ALL
  SELECT child.id, child.first_event, child.newest, child.started_at, child.leader, child.wanted,
    tree.path || int8send(child.first_event), tree.depth + 1
  FROM tree JOIN folding child ON child.parent_id = tree.id
  WHERE tree.leader IS NULL AND (SELECT bool_or(parent_id IS NOT NULL) FROM operation)
), line AS MATERIALIZED (
  SELECT id, first_event, newest, started_at, leader, depth, row_number() OVER (ORDER BY path) - 1 AS position
  FROM tree WHERE wanted AND (leader IS NULL OR leader = first_event)
), extent AS MATERIALIZED (
  SELECT count(*) AS lines,
    coalesce(%(start)s, (SELECT greatest(position - %(before)s, 0) FROM line WHERE id = %(around)s)) AS start
  FROM line
), failed AS (
  SELECT position FROM line WHERE newest %% 8 IN (3, 4) ORDER BY position LIMIT %(most_failed)s
), measured AS (
  SELECT folding.leader, count(*) AS members, max(changed_at) AS ended_at,
    date_part('epoch', max(changed_at - operation.started_at)) AS longest,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', changed_at - operation.started_at)) AS median
  FROM folding JOIN operation USING (id) WHERE folding.leader IS NOT NULL GROUP BY folding.leader
), chosen AS (
  SELECT line.*, operation.name, operation.events, members, median, longest, coalesce(ended_at, changed_at) AS until
  FROM line CROSS JOIN extent JOIN operation USING (id) LEFT JOIN measured USING (leader)
  WHERE lines <= %(size)s OR CASE WHEN extent.start IS NOT NULL
      THEN position >= extent.start AND position < extent.start + %(size)s
      ELSE position < %(size)s / 2 OR position >= lines - %(size)s / 2 OR position IN (SELECT position FROM failed) END
), slice AS (
  SELECT width_bucket(date_part('epoch', started_at), %(from)s, %(until)s, %(slices)s) AS slice,
    newest %% 8 AS status, count(*) AS operations
  FROM operation GROUP BY 1, 2
), stop AS (
  SELECT width_bucket(date_part('epoch', started_at), %(from)s, %(until)s, %(stops)s) AS stop,
    min(position) AS position
  FROM line GROUP BY 1
), ended AS (
  SELECT row_number() OVER (ORDER BY event_id) AS number, event_at AS ended_at,
    coalesce((details ->> 'started_at')::timestamptz, event_at) AS started_at
  FROM durable_event WHERE execution_id = %(execution_id)s AND event_type = 'InvocationCompleted'
), invocation AS (
  SELECT min(number) AS number, count(*) AS invocations, min(started_at) AS started_at, max(ended_at) AS ended_at
  FROM ended GROUP BY CASE WHEN (SELECT count(*) FROM ended) <= %(slices)s THEN number
    ELSE width_bucket(date_part('epoch', started_at), %(from)s, %(until)s, %(slices)s) END
)
SELECT json_build_object(
  'lines', (SELECT lines FROM extent),
  'counts', (SELECT coalesce(json_object_agg(status, operations), '{}')
             FROM (SELECT newest %% 8 AS status, count(*) AS operations FROM operation GROUP BY 1) c),
  'first_failed', (SELECT min(position) FROM failed),
  'slices', (SELECT coalesce(json_agg(json_build_array(slice, status, operations)), '[]') FROM slice),
  'invocations', (SELECT coalesce(json_agg(json_build_array(number, invocations, started_at, ended_at) ORDER BY number),
                                  '[]') FROM invocation),
  'stops', (SELECT coalesce(json_agg(json_build_array(stop, position) ORDER BY stop), '[]') FROM stop),
  'chosen', (SELECT coalesce(json_agg(json_build_object(
      'id', id, 'name', name, 'depth', depth, 'position', position, 'status', newest %% 8,
      'first_event', first_event, 'last_event', newest / 8, 'events', events,
      'started_at', started_at, 'changed_at', until,
      'members', members, 'median', median, 'longest', longest) ORDER BY position), '[]') FROM chosen)
)::text
"""


def read_outline(execution_id: UUID, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Run the statement; `queries.outline` says what the parameters and the parts of the answer mean."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PLANNING)
        cursor.execute(_OUTLINE, {"execution_id": execution_id, **parameters})
        answer: dict[str, Any] = json.loads(cursor.fetchone()[0])
    return answer


def events_of_operations(
    execution_id: UUID, operation_ids: Sequence[str], first: int, last: int, *, head: int, tail: int
) -> QuerySet[Event]:
    """The first `head` and last `tail` events of each of these operations, between two events of the execution.

    Each carries `rank` from 1 and `total`, the number of the operation's events.
    """
    own = F("operation_id")
    ranked = Event.objects.filter(
        execution_id=execution_id, event_id__range=(first, last), operation_id__in=operation_ids
    ).annotate(
        rank=Window(RowNumber(), partition_by=own, order_by=F("event_id").asc()),
        total=Window(Count("event_id"), partition_by=own),
    )
    return ranked.filter(Q(rank__lte=head) | Q(rank__gt=F("total") - tail))
