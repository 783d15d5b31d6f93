"""What people do: how many answers one process takes in a second, and how long a full inbox takes to come."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

from django.contrib.auth.models import Group, User
from django.db import connection, connections
from django.urls import reverse

import approvals
from approvals.models import ApprovalRequest
from approvals.queries.inbox import Box
from approvals.sdk.spec import freeze
from approvals.services.decisions import decide
from approvals.services.opening import open_request
from benchmarks.bench import Bench, start, wait_for_status
from benchmarks.figures import Figure
from benchmarks.visitor import Visitor
from durable_engine.models import Callback, callback_uuid

THREADS = 4
GROUPS = 200


def measure_decisions(bench: Bench) -> list[Figure]:
    """Answer requests of executions that wait, from the threads of one process, each answer one that decides."""
    count = bench.pick(2_000, 20)
    approver = _approver()
    ids = start("bench-callback", [{}] * count)
    wait_for_status(ids, "SUSPENDED")
    spec = freeze(title="Refund", assignees=[approvals.Group("bench-approvers")])
    requests = [open_request(callback_uuid(each, "1"), "manager", spec) for each in ids]
    shares = [requests[number::THREADS] for number in range(THREADS)]
    threads = [threading.Thread(target=_answer_all, args=(approver, share)) for share in shares]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = count / (time.monotonic() - began)
    left = Callback.objects.filter(execution_id__in=ids, status="STARTED").count()
    how = f"{count} answers from {THREADS} threads of one process, {left} left over"
    return [Figure("decisions_per_second", rate, "1/s", None, how)]


def measure_inbox(bench: Bench) -> list[Figure]:
    """Open each list of the inbox as somebody in one group, in half of them, and in all."""
    count, times = bench.pick(100_000, 1_000), bench.pick(10, 2)
    visitors = [Visitor(person) for person in fill(count)]
    pages = [reverse("approvals:inbox-box", args=[box.value]) for box in Box]
    slowest = max(
        (visitor.open(page, times) for visitor in visitors for page in pages), key=lambda each: each.milliseconds
    )
    queries = [visitor.queries(page) for visitor in visitors for page in pages]
    how = (
        f"{count:,} pending requests, {GROUPS} groups: the slowest of {len(pages)} lists, for somebody in one, half and"
        f" all of them; {slowest.cpu_milliseconds:.0f} ms of this process"
    )
    return [
        Figure("inbox_100k_ms", slowest.milliseconds, "ms", None, how),
        Figure("inbox_100k_queries", max(queries), "", None, f"beyond session and user; the fewest {min(queries)}"),
    ]


def fill(count: int) -> list[User]:
    """Write pending requests spread over groups, and people in 1, 100 and 200 of them; returns the people.

    They may answer plain callbacks too: what is asked of nobody has to be found among all that is open.
    """
    approvers = Group.objects.get(name="Approver")
    groups = Group.objects.bulk_create(Group(name=f"bench-{number}") for number in range(GROUPS))
    people = [User.objects.create(username=f"bench-{size}") for size in (1, GROUPS // 2, GROUPS)]
    for person, size in zip(people, (1, GROUPS // 2, GROUPS), strict=True):
        person.groups.set([approvers, *groups[:size]])
    spec = freeze(title="Refund", assignees=[approvals.Group("bench-0")])
    with connection.cursor() as cursor:
        cursor.execute(_FILL_REQUESTS, {"count": count, "digest": spec.digest})
        cursor.execute(_FILL_CANDIDATES, {"first": groups[0].pk, "groups": GROUPS})
        cursor.execute(_FILL_EXECUTIONS)
        cursor.execute(_FILL_CALLBACKS)
        cursor.execute("VACUUM ANALYZE approval_request, approval_candidate, durable_execution, durable_callback")
    return people


_FILL_REQUESTS = """
INSERT INTO approval_request (id, callback_key, execution_id, operation_id, function, execution_name, name, title,
  description, details, choices, digest, requester_label, policy, excluded_ids, watcher_ids, is_separate, state,
  outcome, choice, revision, opened_at, urgent_at, closed_by_label, close_reason, is_break_glass, escalation_level,
  health, health_reason)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '1', 'bench', n::text, 'manager', 'Refund ' || n, '',
  '{}', '[]', %(digest)s, 'rae', '{"quorum": {"approve": 1, "reject": 1, "per_group": {}}, "bulk": false}', '{}', '{}',
  false, 'PENDING', '', '', 1, now(), now() + n * interval '1 second', '', '', false, 0, 'OK', ''
FROM generate_series(1, %(count)s) n
"""
_FILL_EXECUTIONS = """
INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, tags, status_text,
  fence, batch, last_event_id, signal, crash_count, last_event_at, pause_kind, pause_reason, error_type, error_message,
  created_at)
SELECT execution_id, 'bench', 1, execution_name, '', 'SUSPENDED', 'durable', 0, '{}', '', 1, 1, 3, 0, 0, now(), '', '',
  '', '', now() FROM approval_request WHERE function = 'bench'
"""
_FILL_CALLBACKS = """
INSERT INTO durable_callback (id, execution_id, operation_id, status, created_at, completed_by)
SELECT callback_key, execution_id, '1', 'STARTED', now(), '' FROM approval_request WHERE function = 'bench'
"""
_FILL_CANDIDATES = """
INSERT INTO approval_candidate (request_id, group_id, label, source, level, is_open, added_at)
SELECT id, %(first)s + execution_name::int %% %(groups)s, 'bench', 'AUTHOR', 0, true, now()
FROM approval_request WHERE function = 'bench'
"""


def _approver() -> User:
    approver = User.objects.create(username="bench-approver")
    approver.groups.add(Group.objects.create(name="bench-approvers"))
    return approver


def _answer_all(approver: User, requests: list[ApprovalRequest]) -> None:
    try:
        for request in requests:
            decide(request.pk, actor=approver, choice="approve", operation_id=uuid4().hex, digest=request.digest)
    finally:
        connections.close_all()
