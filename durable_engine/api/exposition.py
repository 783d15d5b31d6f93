"""The figures as families of samples, as Prometheus names and types them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from durable_engine.queries.gauges import BIN_FACTOR, Gauges, Queue, SoFar, read_gauges

# A second, a minute, an hour, a day, a week and steps between them: executions are quick, or wait for people.
BUCKETS: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400)


class GaugeCollector:
    """What a registry asks at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """Yield every family, from one look at the database."""
        found = read_gauges()
        yield from _of_executions(found)
        yield from _of_processes(found)
        yield from _of_queues(found.queues)
        yield from _of_backlog(found)
        yield from _of_functions(found.so_far)


def _of_executions(found: Gauges) -> Iterator[Metric]:
    yield _gauges("perdure_executions", "Live executions, at most 10,000 of a status.", "status", found.live)
    yield _gauges("perdure_executions_paused", "Paused executions by what paused them.", "kind", found.paused)
    yield _gauge(
        "perdure_executions_on_silent_workers",
        "Running executions whose worker has missed its heartbeat.",
        found.on_silent_workers,
    )
    taken = {each.function: each.taken for each in found.limits}
    waiting = {each.function: each.waiting for each in found.limits}
    yield _gauges("perdure_limit_places_taken", "Places of concurrency limits that are taken.", "function", taken)
    yield _gauges(
        "perdure_limit_executions_waiting", "Executions that wait for a place of a limit.", "function", waiting
    )


def _of_processes(found: Gauges) -> Iterator[Metric]:
    yield _gauges("perdure_workers", "Worker processes that are not given up.", "state", found.workers)
    yield _gauge("perdure_schedulers", "Schedulers that were heard of lately.", len(found.schedulers))
    yield _gauge(
        "perdure_scheduler_slowest_round_seconds",
        "The slowest recent round of sweeps of any scheduler.",
        max((each.slowest_round_seconds for each in found.schedulers), default=0.0),
    )
    yield _gauge(
        "perdure_scheduler_lag_seconds",
        "How long the oldest due timer has not been fired.",
        found.backlog.timers_late_seconds,
    )


def _of_queues(queues: Mapping[str, Queue]) -> Iterator[Metric]:
    ready = {name: queue.ready for name, queue in queues.items()}
    oldest = {name: queue.oldest_seconds for name, queue in queues.items()}
    workers = {name: queue.workers for name, queue in queues.items()}
    yield _gauges("perdure_queue_ready", "Executions that a worker could take now.", "queue", ready)
    yield _gauges("perdure_queue_oldest_seconds", "How long the oldest of them has been ready.", "queue", oldest)
    yield _gauges("perdure_queue_workers", "Live workers that take from the queue.", "queue", workers)


def _of_backlog(found: Gauges) -> Iterator[Metric]:
    backlog = found.backlog
    for name, meaning, value in (
        ("perdure_callbacks_open", "Callbacks that wait for an answer.", backlog.callbacks_open),
        (
            "perdure_callback_oldest_seconds",
            "How long the oldest open callback has waited.",
            backlog.oldest_callback_seconds,
        ),
        ("perdure_outbox_waiting", "Messages that are not delivered yet.", backlog.outbox_waiting),
        (
            "perdure_outbox_late_seconds",
            "How long a message has been due that is not delivered.",
            backlog.outbox_late_seconds,
        ),
        ("perdure_outbox_given_up", "Messages that were given up in the last day.", backlog.outbox_given_up),
    ):
        yield _gauge(name, meaning, value)


def _of_functions(so_far: Mapping[str, SoFar]) -> Iterator[Metric]:
    started = CounterMetricFamily("perdure_executions_started", "Executions started.", labels=["function"])
    closed = CounterMetricFamily("perdure_executions_closed", "Executions ended.", labels=["function", "status"])
    seconds = HistogramMetricFamily(
        "perdure_execution_duration_seconds", "From start to end, waits included.", labels=["function"]
    )
    for function, total in so_far.items():
        started.add_metric([function], total.started)
        for status, count in total.ended.items():
            closed.add_metric([function, status], count)
        seconds.add_metric([function], buckets_of(total.durations), total.seconds_sum)
    yield from (started, closed, seconds)


def buckets_of(durations: Mapping[int, int]) -> list[tuple[str, float]]:
    """Return how many took at most so many seconds, for each bucket; within a tenth, as finely as durations are kept.

    A bin counts for a bucket when it ends within it.
    """
    last_bins = [(bucket, math.floor(math.log(bucket * 1000, BIN_FACTOR)) - 1) for bucket in BUCKETS]
    found: list[tuple[str, float]] = [
        (str(float(bucket)), sum(count for place, count in durations.items() if place <= last))
        for bucket, last in last_bins
    ]
    return [*found, ("+Inf", sum(durations.values()))]


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
