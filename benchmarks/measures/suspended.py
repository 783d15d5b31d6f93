"""What 100,000 executions cost that only wait: memory of the processes, and processor time of everything."""

from __future__ import annotations

import time

from django.db import connection

from benchmarks.bench import Bench, wait_for_status
from benchmarks.figures import Figure
from benchmarks.processes import cpu_seconds, family, memory_mib

SETTLE_SECONDS = 5.0

# As a worker leaves them: half in a wait of weeks, half at a callback with a deadline. Written in bulk, because only
# their being there is measured.
_EXECUTIONS = """
INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, tags, status_text,
                               fence, batch, last_event_id, signal, crash_count, batch_started_at, last_event_at,
                               invocation_started_at, wake_at, pause_kind, pause_reason, error_type, error_message,
                               created_at)
SELECT gen_random_uuid(), 'bench-suspended', 1, 'suspended-' || n, repeat('0', 64), 'SUSPENDED', 'durable', 0, '{}', '',
       1, 1, 3, 0, 0, now(), now(), now(),
       CASE WHEN n %% 2 = 0 THEN now() + interval '30 days' + n * interval '1 second' END, '', '', '', '', now()
FROM generate_series(1, %(count)s) n
"""
_EVENTS = """
INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, subtype, name, payload, details, fence,
                           event_at)
SELECT x.id, e.event_id, e.event_type, e.operation_id, e.subtype, e.name, e.payload, e.details, e.fence, now()
FROM durable_execution x, LATERAL (VALUES
  (1, 'ExecutionStarted', NULL, NULL, NULL,
   CASE WHEN x.wake_at IS NULL THEN '{"callback": true}' ELSE '{"callback": false, "seconds": 2592000}' END,
   NULL::jsonb, NULL::int),
  (2, CASE WHEN x.wake_at IS NULL THEN 'CallbackStarted' ELSE 'WaitStarted' END, '1',
   CASE WHEN x.wake_at IS NULL THEN 'Callback' ELSE 'Wait' END,
   CASE WHEN x.wake_at IS NULL THEN 'answer' ELSE 'wait' END, NULL,
   CASE WHEN x.wake_at IS NULL THEN NULL ELSE '{"duration_seconds": 2592000}'::jsonb END, 1),
  (3, 'InvocationCompleted', NULL, NULL, NULL, NULL,
   jsonb_build_object('request_id', gen_random_uuid(), 'started_at', now()), 1)
) AS e(event_id, event_type, operation_id, subtype, name, payload, details, fence)
WHERE x.function = 'bench-suspended'
"""
_TIMERS = """
INSERT INTO durable_timer (execution_id, operation_id, kind, event_id, due_at)
SELECT id, '1', 'wait', 2, wake_at FROM durable_execution WHERE function = 'bench-suspended' AND wake_at IS NOT NULL
"""
_CALLBACKS = """
INSERT INTO durable_callback (id, execution_id, operation_id, name, status, timeout_seconds, deadline, created_at,
                              completed_by)
SELECT gen_random_uuid(), id, '1', 'answer', 'STARTED', 2592000, now() + interval '30 days', now(), ''
FROM durable_execution WHERE function = 'bench-suspended' AND wake_at IS NULL
"""
_WAKE_ONE = """
WITH one AS (SELECT id FROM durable_execution WHERE function = 'bench-suspended' AND wake_at IS NOT NULL LIMIT 1),
t AS (UPDATE durable_timer SET due_at = now() FROM one WHERE execution_id = one.id)
UPDATE durable_execution x SET wake_at = now() FROM one WHERE x.id = one.id RETURNING x.id
"""


def measure(bench: Bench) -> list[Figure]:
    """Compare the idle system before and after; then wake one of them, to see that they would have gone on."""
    count, seconds = bench.pick(100_000, 1000), bench.pick(30, 2)
    settle = bench.pick(SETTLE_SECONDS, 0.5)
    time.sleep(settle)
    memory_before, cpu_before, disk_before = (
        memory_mib(bench.processes.pids()),
        _cpu_percent(bench, seconds),
        _disk_mib(),
    )
    _insert(count)
    disk = _disk_mib() - disk_before
    time.sleep(settle)
    memory, cpu = memory_mib(bench.processes.pids()), _cpu_percent(bench, seconds)
    _wake_one()
    where = "workers and scheduler" if not bench.servers.pids else "workers, scheduler and the servers"
    return [
        Figure(
            "suspended_100k_mib",
            max(0.0, memory - memory_before),
            "MiB",
            None,
            f"{count:,} suspended; workers and scheduler have {memory:.0f} MiB; {disk:.0f} MiB of tables and indexes",
        ),
        Figure(
            "suspended_100k_cpu_percent",
            cpu,
            "% core",
            None,
            f"{count:,} suspended; {where} over {seconds:g} s; without them {cpu_before:.2f} %",
        ),
    ]


def _insert(count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(_EXECUTIONS, {"count": count})
        for statement in (_EVENTS, _TIMERS, _CALLBACKS):
            cursor.execute(statement)
        # Now, or autovacuum would do it while the processor time is taken.
        cursor.execute("VACUUM ANALYZE durable_execution, durable_event, durable_timer, durable_callback")
        cursor.execute("RESET statement_timeout")


def _cpu_percent(bench: Bench, seconds: float) -> float:
    """Return what all processes that are ours use of one core, this one not among them."""
    connection.close()  # its backend belongs to the servers

    def used() -> float:
        return cpu_seconds([*bench.processes.pids(), *(each for pid in bench.servers.pids for each in family(pid))])

    before, began = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) / (time.monotonic() - began) * 100


def _disk_mib() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return float(cursor.fetchone()[0]) / 2**20


def _wake_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_WAKE_ONE)
        (execution_id,) = cursor.fetchone()
    wait_for_status([execution_id], "SUCCEEDED")
