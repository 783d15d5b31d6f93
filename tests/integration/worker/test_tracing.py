"""Spans of a real worker over Postgres: in the trace of whoever started, and linked from parent to child."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from durable_engine import DurableContext, dispatch, durable_execution
from durable_engine.client import start_execution
from durable_engine.models import Event, Execution
from durable_engine.sdk import registry
from durable_engine.tracing import TracingPlugin
from durable_engine.worker.heartbeat import Heartbeat
from durable_engine.worker.loop import InvocationLoop
from tests.processes import wait_for


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def loop(transactional_db: None, broker_url: str, provider: TracerProvider) -> Iterator[InvocationLoop]:
    """A worker without its pool, which traces every function: one that invokes another."""
    dispatch._start_over()
    with registry.isolated():
        registry.add_plugin(TracingPlugin(provider))

        @durable_execution(name="child")
        def child(event: object, context: DurableContext) -> str:
            return context.step(lambda step: "done", name="only")

        @durable_execution(name="parent")
        def parent(event: object, context: DurableContext) -> Any:
            return context.invoke("child", name="child")

        beating = Heartbeat(lambda worker_id: None)
        beating.start()
        wait_for(lambda: bool(beating.worker_id()), "the worker's row")
        loop = InvocationLoop(beating)
        yield loop
        loop.close()
        beating.stop()


def test_an_execution_is_in_the_trace_of_its_starter_and_a_child_is_linked_to_it(
    loop: InvocationLoop, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with provider.get_tracer("shop").start_as_current_span("request") as request:
        started = start_execution("parent", {})
        outside = request.get_span_context()

    def has_ended() -> bool:
        loop.follow(started.id)
        return Execution.objects.get(pk=started.id).status == "SUCCEEDED"

    wait_for(has_ended, "the end of both")
    own = [span for span in exporter.get_finished_spans() if span.name in {"invocation parent", "execution parent"}]
    assert len(own) == 3
    assert {parent_of(span) for span in own} == {(outside.trace_id, outside.span_id)}
    (step,) = [span for span in exporter.get_finished_spans() if span.name == "step only"]
    (child,) = [span for span in exporter.get_finished_spans() if span.name == "invocation child"]
    assert parent_of(step) == (child.context.trace_id, child.context.span_id)
    assert child.context.trace_id == Execution.objects.get(function="child").pk.int
    assert [link.context.trace_id for link in child.links] == [outside.trace_id]


def test_what_is_started_outside_of_any_span_says_nothing_of_one(loop: InvocationLoop) -> None:
    started = start_execution("child", {})

    assert not Event.objects.get(execution_id=started.id, event_id=1).details


def parent_of(span: ReadableSpan) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id
