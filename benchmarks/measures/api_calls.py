"""What a signed call of the service API takes, beside views on the same server that do nothing or commit one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote
from uuid import UUID

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.db import connection

from benchmarks.bench import Bench
from benchmarks.figures import Figure, percentile
from benchmarks.http_client import CONNECTIONS, Sent, request_bytes, send_all
from durable_engine.models import Function
from durable_engine.models.callback import callback_uuid
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.api_keys import KeyPair, create_api_key
from durable_engine.services.callback_ids import callback_id_for

# Nobody serves it, so that what the calls cause does not compete with them for the processors.
FUNCTION: Final = "bench-nobody"
QUEUE: Final = "bench-nobody"
ROUNDS: Final = 5
BODY: Final = b'{"order_id": "A-1001"}'

MakeRequests = Callable[[int], list[bytes]]


def measure(bench: Bench) -> list[Figure]:
    """Send requests over as many connections as the server has threads, a round of each kind in turn."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS bench_commit (body text)")
    Function.objects.get_or_create(name=FUNCTION, version=1, defaults={"config": {"queue": QUEUE}})
    pair = create_api_key("benchmark", actor=PYTHON_CODE, requests_per_second=100_000)
    count = bench.pick(600, 20)
    with bench.processes.web("benchmarks.web_settings") as port:
        kinds: dict[str, MakeRequests] = {
            "bare": lambda wanted: [_plain(port, "/bare")] * wanted,
            "commit": lambda wanted: [_plain(port, "/commit")] * wanted,
            "invoke_event": lambda wanted: [_invoke(port, pair)] * wanted,
            "callback_success": lambda wanted: [_complete(port, pair, each) for each in suspended(wanted)],
        }
        rounds: dict[str, list[Sent]] = {name: [] for name in kinds}
        for make in kinds.values():
            send_all(port, make(max(20, count // 10)))  # warm
        for _ in range(bench.pick(ROUNDS, 1)):
            for name, make in kinds.items():
                rounds[name].append(send_all(port, make(count)))
    bare = _per_second(rounds["bare"])
    commit = _per_second(rounds["commit"])
    beside = ", ".join(
        f"{what} {_per_second(rounds[name]):.0f}/s, p50 {_p50(rounds[name]):.1f} ms"
        for name, what in (("bare", "bare view"), ("commit", "view that commits one row"))
    )
    how = f"{bench.pick(ROUNDS, 1)} rounds of {count} requests over {CONNECTIONS} connections; {beside}"
    figures = []
    for name in ("invoke_event", "callback_success"):
        rate = _per_second(rounds[name])
        figures += [
            Figure(f"api_{name}_p50_ms", _p50(rounds[name]), "ms", _p50(rounds[name]) / _p50(rounds["bare"]), how),
            Figure(f"api_{name}_per_second", rate, "/s", rate / bare, how),
            Figure(f"api_{name}_ratio", rate / bare, "of bare", rate / bare, how),
            Figure(f"api_{name}_commit_ratio", rate / commit, "of one commit", rate / commit, how),
        ]
    return figures


def suspended(count: int) -> list[str]:
    """Make executions that wait for a callback each; return the callbacks' ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH e AS (INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue,"
            " priority, tags, status_text, fence, batch, last_event_id, signal, crash_count, last_event_at, pause_kind,"
            " pause_reason, error_type, error_message, created_at)"
            " SELECT g, %s, 1, g::text, '', 'SUSPENDED', %s, 0, '{}', '', 1, 1, 3, 0, 0, now(), '', '', '', '', now()"
            " FROM (SELECT gen_random_uuid() AS g FROM generate_series(1, %s)) s RETURNING id)"
            " INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, event_at)"
            " SELECT id, n, CASE n WHEN 1 THEN 'ExecutionStarted' WHEN 2 THEN 'CallbackStarted'"
            " ELSE 'InvocationCompleted' END, CASE n WHEN 2 THEN '1' END, now() FROM e, generate_series(1, 3) AS n"
            " RETURNING execution_id, event_id",
            [FUNCTION, QUEUE, count],
        )
        ids: list[UUID] = [execution_id for execution_id, event_id in cursor.fetchall() if event_id == 1]
        cursor.executemany(
            "INSERT INTO durable_callback (id, execution_id, operation_id, status, created_at, completed_by)"
            " VALUES (%s, %s, '1', 'STARTED', now(), '')",
            [(callback_uuid(each, "1"), each) for each in ids],
        )
    return [callback_id_for(each, "1") for each in ids]


def _per_second(rounds: Sequence[Sent]) -> float:
    # The best round: what else runs on the machine only ever takes away.
    return max(each.per_second for each in rounds)


def _p50(rounds: Sequence[Sent]) -> float:
    return min(percentile(each.milliseconds, 50) for each in rounds)


def _plain(port: int, path: str) -> bytes:
    return request_bytes("POST", path, {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json"}, BODY)


def _invoke(port: int, pair: KeyPair) -> bytes:
    path = f"/2015-03-31/functions/{FUNCTION}/invocations"
    return _signed(port, pair, path, BODY, {"X-Amz-Invocation-Type": "Event"})


def _complete(port: int, pair: KeyPair, callback_id: str) -> bytes:
    path = f"/2025-12-01/durable-execution-callbacks/{quote(callback_id, safe='')}/succeed"
    return _signed(port, pair, path, BODY, {})


def _signed(port: int, pair: KeyPair, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    request = AWSRequest("POST", f"http://127.0.0.1:{port}{path}", headers=headers, data=body)
    SigV4Auth(Credentials(pair.key.access_key_id, pair.secret), "lambda", "us-east-1").add_auth(request)
    signed = {name: str(value) for name, value in request.headers.items()}
    return request_bytes("POST", path, {"Host": f"127.0.0.1:{port}", **signed}, body)
