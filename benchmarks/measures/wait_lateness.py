"""How long after a timer was due the handler goes on."""

from __future__ import annotations

import random

from benchmarks.bench import Bench, results, start
from benchmarks.figures import Figure, latency_figures
from durable_engine.models import Event

APART_SECONDS = 0.1


def measure(bench: Bench) -> list[Figure]:
    """Let many wait, and spread their due times so that each wakes alone."""
    count = bench.pick(300, 15)
    commit_ms = bench.commit_ms()
    inputs = [{"seconds": 1 + APART_SECONDS * (number + random.uniform(-0.3, 0.3))} for number in range(count)]
    random.shuffle(inputs)
    ids = start("bench-wait", inputs)
    resumed = results(ids)
    # A wait's event carries the time at which it was due, not the time at which somebody looked.
    due = dict(
        Event.objects.filter(execution_id__in=ids, event_type="WaitSucceeded").values_list("execution_id", "event_at")
    )
    latencies = [at / 1e6 - due[each].timestamp() * 1e3 for each, at in zip(ids, resumed, strict=True)]
    how = f"{count} waits, due about {APART_SECONDS * 1000:.0f} ms apart"
    return latency_figures("wait_lateness", latencies, commit_ms, how)
