"""Traces: a span for each thing that was done, none for what a replay reads, and never a word to the execution."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from uuid_utils.compat import uuid7

from durable_engine import (
    DurableContext,
    Duration,
    RetryPresets,
    StepConfig,
    StepContext,
    durable_execution,
    tracing,
)
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.trace_parent import TraceParent, own_trace, parsed_trace
from durable_engine.testing.runner import DurableFunctionTestRunner
from durable_engine.tracing import TracingPlugin, current_trace

ONCE_MORE = StepConfig(RetryPresets.fixed(Duration(1)))


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def made() -> Iterator[None]:
    """Handlers of a test are forgotten with it."""
    with registry.isolated():
        yield


def names(exporter: InMemorySpanExporter) -> list[str]:
    return [span.name.partition(" ")[0] if span.name[0] != "s" else span.name for span in exporter.get_finished_spans()]


def spans(exporter: InMemorySpanExporter, beginning: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name.startswith(beginning)]


def about(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {})[name]


def traced(plugin: TracingPlugin, *, calls: bool = True) -> DurableHandler:
    """Two steps around a wait; the first one fails once, and then makes a call that is traced too."""

    @durable_execution(name="traced", plugins=[plugin])
    def handler(event: dict[str, Any], context: DurableContext) -> str:
        def charge(step: StepContext) -> str:
            if step.attempt == 1:
                raise ConnectionError("card 4111 of Ana")
            if calls:
                trace.get_tracer("shop", tracer_provider=plugin._provider).start_span("POST /charge").end()
            return "paid"

        paid = context.step(charge, name="charge", config=ONCE_MORE)
        context.wait(Duration(60), name="cooling-off")
        return context.step(lambda step: f"{paid} and confirmed", name="confirm")

    return handler


def run(handler: DurableHandler, arn: list[str] | None = None, crash_after: str | None = None) -> str:
    """Run it, in a context of its own: a process that dies leaves its active span behind, and here none dies."""

    def within() -> str:
        with DurableFunctionTestRunner(handler) as runner:
            if crash_after is not None:
                runner.crash_after(crash_after)
            execution = runner.run_async()
            if arn is not None:
                arn.append(execution)
            result = runner.wait_for_result(execution).result or ""
        assert crash_after is not None or current_trace() is None, "a span is still active"
        return result

    return copy_context().run(within)


@pytest.mark.usefixtures("made")
class TestSpans:
    def test_each_invocation_and_each_attempt_is_one_in_the_trace_of_the_execution(
        self, provider: TracerProvider, exporter: InMemorySpanExporter
    ) -> None:
        arn: list[str] = []
        run(traced(TracingPlugin(provider)), arn)

        assert names(exporter) == [
            "step charge",
            "invocation",
            "POST",
            "step charge",
            "invocation",
            "step confirm",
            "invocation",
            "execution",
        ]
        found = exporter.get_finished_spans()
        assert {span.context.trace_id for span in found} == {UUID(arn[0]).int}
        invocations = spans(exporter, "invocation")
        assert [about(span, "perdure.outcome") for span in invocations] == ["PENDING", "PENDING", "SUCCEEDED"]
        assert [about(span, "perdure.invocation.is_first") for span in invocations] == [True, False, False]

    def test_what_a_body_calls_hangs_below_its_attempt_and_that_below_its_invocation(
        self, provider: TracerProvider, exporter: InMemorySpanExporter
    ) -> None:
        run(traced(TracingPlugin(provider)))

        call, (_, attempt), (_, second, _) = (
            spans(exporter, "POST")[0],
            spans(exporter, "step charge"),
            spans(exporter, "invocation"),
        )
        assert call.parent is not None
        assert call.parent.span_id == attempt.context.span_id
        assert attempt.parent is not None
        assert attempt.parent.span_id == second.context.span_id
        assert (about(attempt, "perdure.attempt"), about(attempt, "perdure.operation.id")) == (2, "1")

    def test_a_failed_attempt_says_of_what_type_and_no_message(
        self, provider: TracerProvider, exporter: InMemorySpanExporter
    ) -> None:
        run(traced(TracingPlugin(provider)))

        failed = spans(exporter, "step charge")[0]
        assert failed.status.status_code is trace.StatusCode.ERROR
        assert about(failed, "error.type") == "ConnectionError"
        assert "of Ana" not in "".join(span.to_json() for span in exporter.get_finished_spans())

    def test_a_wait_is_noted_where_it_began_and_where_it_was_over(
        self, provider: TracerProvider, exporter: InMemorySpanExporter
    ) -> None:
        run(traced(TracingPlugin(provider)))

        noted = [[event.name for event in span.events] for span in spans(exporter, "invocation")]
        assert noted == [[], ["wait started"], ["wait succeeded"]]

    def test_what_was_done_before_a_crash_is_not_shown_again(
        self, provider: TracerProvider, exporter: InMemorySpanExporter
    ) -> None:
        run(traced(TracingPlugin(provider)), crash_after="confirm")

        assert names(exporter).count("step charge") == 2
        assert names(exporter).count("step confirm") == 1

    def test_an_abandoned_body_is_shown_when_its_invocation_ends(
        self, provider: TracerProvider, exporter: InMemorySpanExporter
    ) -> None:
        over = threading.Event()

        @durable_execution(name="hangs", plugins=[TracingPlugin(provider)])
        def hangs(event: object, context: DurableContext) -> None:
            config = StepConfig(RetryPresets.none(), timeout=Duration(0.01))
            context.step(lambda step: over.wait(30), name="hang", config=config)

        with DurableFunctionTestRunner(hangs) as runner:
            assert runner.run().status == "FAILED"
        over.set()

        (body,) = spans(exporter, "step hang")
        assert (about(body, "perdure.outcome"), about(body, "error.type")) == ("INCOMPLETE", "abandoned")

    def test_an_invoked_execution_has_its_own_trace_with_a_link_to_the_one_that_invokes(
        self, provider: TracerProvider, exporter: InMemorySpanExporter
    ) -> None:
        plugin = TracingPlugin(provider)

        @durable_execution(name="child", plugins=[plugin])
        def child(event: object, context: DurableContext) -> str:
            return context.step(lambda step: "done", name="child's")

        @durable_execution(name="parent", plugins=[plugin])
        def parent(event: object, context: DurableContext) -> Any:
            return context.invoke(child, name="invoke")

        arn: list[str] = []
        run(parent, arn)

        (step,) = spans(exporter, "step child's")
        assert step.parent is not None
        above = step.parent.span_id
        own = next(span for span in spans(exporter, "invocation") if span.context.span_id == above)
        assert own.context.trace_id != UUID(arn[0]).int
        assert [link.context.trace_id for link in own.links] == [UUID(arn[0]).int]


@pytest.mark.usefixtures("made")
class TestNothingBreaks:
    @pytest.mark.parametrize("broken", ["export", "on_start", "on_end"])
    def test_an_exporter_or_processor_that_fails_changes_no_execution(
        self, broken: str, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*_: Any, **__: Any) -> None:
            raise OSError("no collector")

        processor, provider = SimpleSpanProcessor(exporter), TracerProvider()
        monkeypatch.setattr(exporter if broken == "export" else processor, broken, fails)
        provider.add_span_processor(processor)

        assert json.loads(run(traced(TracingPlugin(provider), calls=False))) == "paid and confirmed"

    def test_without_an_sdk_there_is_nothing_and_no_error(self) -> None:
        assert json.loads(run(traced(TracingPlugin(trace.NoOpTracerProvider())))) == "paid and confirmed"

    def test_without_the_package_the_plugin_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tracing, "_is_installed", False)

        assert current_trace() is None
        with pytest.raises(ImportError, match=r"install perdure\[otel\]"):
            TracingPlugin()


@pytest.mark.usefixtures("made")
def test_the_ratio_decides_by_the_execution_so_that_every_worker_agrees(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    run(traced(TracingPlugin(provider, ratio=0)))
    assert names(exporter) == [], "what bodies call follows them"


def test_a_plugin_of_all_functions_is_told_of_each(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    with registry.isolated():
        registry.add_plugin(TracingPlugin(provider))

        @durable_execution(name="plain")
        def plain(event: object, context: DurableContext) -> str:
            return context.step(lambda step: "done", name="only")

        run(plain)
    assert names(exporter) == ["step only", "invocation", "execution"]
    assert registry.plugins_of(plain) == ()


def test_the_active_span_is_told_as_w3c_trace_context_writes_it(provider: TracerProvider) -> None:
    assert current_trace() is None
    with provider.get_tracer("shop").start_as_current_span("request") as span:
        told = parsed_trace(current_trace())

    assert told == TraceParent(span.get_span_context().trace_id, span.get_span_context().span_id, sampled=True)


@pytest.mark.parametrize(
    "text", [None, "", "00-1-2-01", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01", f"{'x' * 55}"]
)
def test_what_is_no_trace_is_none(text: str | None) -> None:
    assert parsed_trace(text) is None


@pytest.mark.parametrize("arn", ["0198c2f0-1111-7222-8333-444455556666", "arn:aws:x/durable-execution/n/no-uuid"])
def test_the_trace_of_an_execution_is_the_same_everywhere(arn: str) -> None:
    first, again = own_trace(arn), own_trace(arn, 0.0)

    assert (first.trace_id, first.span_id) == (again.trace_id, again.span_id)
    assert (first.sampled, again.sampled) == (True, False)
    assert parsed_trace(str(first)) == first


def test_a_part_of_the_executions_is_sampled() -> None:
    arns = [str(uuid7()) for _ in range(2_000)]

    assert sum(own_trace(arn).sampled for arn in arns) == 2_000
    assert 300 < sum(own_trace(arn, 0.25).sampled for arn in arns) < 700
