"""What a step asks of the server: statements, and bytes of write-ahead log."""

from __future__ import annotations

import statistics

from benchmarks.bench import Bench, results, start
from benchmarks.durable_functions import COUNTED_QUEUE
from benchmarks.figures import Figure
from benchmarks.proxy import CountingProxy
from durable_engine.embedded import paths


def measure(bench: Bench) -> list[Figure]:
    """Run a short and a long execution behind a counting proxy: the difference is the steps' own."""
    short, long, rounds = bench.pick(10, 5), bench.pick(1010, 105), bench.pick(5, 3)
    statements, wal = [], []
    # Not below the home: the path of a socket may have 107 bytes, and the home may lie deep.
    directory = paths.private_directory(paths.socket_directory(bench.servers.home)) / "counted"
    with CountingProxy(directory, bench.servers.database_url) as proxy:
        variables = {"DURABLE_QUEUES": COUNTED_QUEUE, "DATABASE_URL": proxy.url}
        with bench.processes.workers(1, variables):
            _cost(bench, proxy, long)  # warm
            for _ in range(rounds):
                least, most = _cost(bench, proxy, short), _cost(bench, proxy, long)
                statements.append((most[0] - least[0]) / (long - short))
                wal.append((most[1] - least[1]) / (long - short))
    floor_wal = bench.floor.wal_bytes(long - short)
    how = f"{rounds} rounds of {long} steps less {short} steps"
    wal_bytes = statistics.median(wal)
    return [
        Figure("statements_per_step", statistics.median(statements), "", statistics.median(statements), how),
        Figure("wal_bytes_per_step", wal_bytes, "bytes", wal_bytes / floor_wal, f"{how}; the floor's {floor_wal:.0f}"),
    ]


def _cost(bench: Bench, proxy: CountingProxy, steps: int) -> tuple[int, int]:
    statements, wal = proxy.statements, bench.floor.wal_position()
    results(start("bench-counted-sequence", [{"steps": steps}]))
    return proxy.statements - statements, bench.floor.wal_position() - wal
