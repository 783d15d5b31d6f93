"""How long it takes from the call that completes a callback to the body of the step after it."""

from __future__ import annotations

import random
import time

from benchmarks.bench import Bench, results, start, wait_for_status
from benchmarks.figures import Figure, latency_figures
from durable_engine.client import send_callback_success
from durable_engine.services.callback_ids import callback_id_for


def measure(bench: Bench) -> list[Figure]:
    """Complete one at a time while its execution is suspended; the completion's commit is part of the latency."""
    count = bench.pick(300, 15)
    commit_ms = bench.commit_ms()
    ids = start("bench-callback", [{}] * count)
    wait_for_status(ids, "SUSPENDED")
    latencies = []
    for each in ids:
        time.sleep(random.uniform(0.02, 0.06))
        callback_id = callback_id_for(each, "1")
        began = time.time_ns()
        send_callback_success(callback_id, {"approved": True})
        (resumed,) = results([each])
        latencies.append((resumed - began) / 1e6)
    return latency_figures("callback_to_resumed", latencies, commit_ms, f"{count} callbacks, one at a time")
