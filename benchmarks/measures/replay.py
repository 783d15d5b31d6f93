"""What it costs to come back to where an execution stood: loading its history and replaying its handler."""

from __future__ import annotations

import random
import statistics
import time
from uuid import UUID

from benchmarks.bench import Bench, start, wait_for_status
from benchmarks.durable_functions import long_history
from benchmarks.figures import Figure
from durable_engine.core.replay import run_invocation
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.storage import leases
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder

LENGTHS = (1000, 5000)
WHOLE = 10_000  # of this one the time of all of it is told


def measure(bench: Bench) -> list[Figure]:
    """Replay histories that a worker wrote; what an invocation costs that replays one step is taken off."""
    rounds = bench.pick(15, 5)
    lengths = {LENGTHS[0]: bench.pick(1000, 100), LENGTHS[1]: bench.pick(5000, 400), WHOLE: bench.pick(WHOLE, 500)}
    commit_ms = bench.commit_ms()
    ids = start("bench-history", [{"steps": steps} for steps in (1, *lengths.values())])
    wait_for_status(ids, "SUSPENDED")
    connections = ConnectionHolder()
    try:
        worker_id = leases.register_worker(
            connections.get(), hostname="bench", pid=0, release="", functions=[], queues=[]
        )
        taken: dict[UUID, list[float]] = {each: [] for each in ids}
        for _ in range(rounds):
            for each in ids:
                taken[each].append(_replay_seconds(connections, worker_id, each))
        leases.retire_worker(connections.get(), worker_id, "the benchmark is over")
    finally:
        connections.discard()
    base, *full, whole = (statistics.median(taken[each]) for each in ids)
    figures = [
        _figure(name, lengths[name], rounds, (seconds - base) / (lengths[name] - 1), commit_ms)
        for name, seconds in zip(LENGTHS, full, strict=True)
    ]
    how = f"{rounds} rounds over {lengths[WHOLE]} steps, from the claim to the next suspend"
    figures.append(Figure(f"resume_{WHOLE}_operations_ms", whole * 1e3, "ms", whole * 1e3 / commit_ms, how))
    return figures


def _figure(length: int, steps: int, rounds: int, seconds: float, commit_ms: float) -> Figure:
    how = f"{rounds} rounds over {steps} steps, from Postgres to the end of the history"
    return Figure(f"replay_us_per_step_{length}", seconds * 1e6, "us", seconds * 1e3 / commit_ms, how)


def _replay_seconds(connections: ConnectionHolder, worker_id: UUID, execution_id: UUID) -> float:
    """Claim a suspended execution in this process, run its handler until it suspends again, and take the time."""
    connection = connections.get()
    served = [leases.Served(long_history.name, long_history.version, 900.0)]
    # In one transaction, or a worker could be first.
    with connection.transaction():
        connection.execute(
            "UPDATE durable_execution SET status = 'PENDING', ready_at = clock_timestamp() WHERE id = %s",
            (execution_id,),
        )
        claim = leases.claim(
            connection, worker_id=worker_id, served=served, queues=["durable"], execution_id=execution_id
        )
    if claim is None:
        raise RuntimeError(f"{execution_id} could not be claimed")
    invocation = PostgresInvocation(
        connections, claim, callback_id=callback_id_for, should_release=lambda: False, hint=lambda *_: None
    )
    began = time.perf_counter()
    result = run_invocation(long_history, invocation, clock=time.monotonic, random=random.random)
    seconds = time.perf_counter() - began
    if result.ended != "suspended":
        raise RuntimeError(f"the replay of {execution_id} ended as {result.ended}")
    return seconds
