"""Traces for OpenTelemetry: what was really done, as spans; what a replay only reads, never. Needs `perdure[otel]`.

An execution is one trace. Its id is that of the span in which the execution was started, and without one the
execution's own id, so that every worker and every replay knows it without asking anybody.
"""

from __future__ import annotations

import re
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from durable_engine.sdk.plugin import (
    DurableInstrumentationPlugin,
    InvocationEndInfo,
    InvocationInfo,
    InvocationStartInfo,
    OperationEndInfo,
    OperationInfo,
    OperationStartInfo,
    UserFunctionEndInfo,
    UserFunctionOutcome,
    UserFunctionStartInfo,
)
from durable_engine.sdk.trace_parent import TraceParent, own_trace, parsed_trace
from durable_engine.sdk.types import InvocationStatus, OperationType

try:
    from opentelemetry import context as otel_context
    from opentelemetry import trace
except ImportError:
    _is_installed = False
else:
    _is_installed = True

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanContext, Tracer, TracerProvider

TRACER: Final = "perdure"
_FUNCTION: Final = re.compile(r":function:([a-zA-Z0-9_-]+)")
# What has a function of its author's is a span; of the others one sees when they began and ended.
_WITHOUT_FUNCTION: Final = (OperationType.WAIT, OperationType.CALLBACK, OperationType.CHAINED_INVOKE)
_CLOSED: Final = (InvocationStatus.SUCCEEDED, InvocationStatus.FAILED)


def current_trace() -> str | None:
    """Return the span that is active in this thread, if any, as text."""
    if not _is_installed:
        return None
    found = trace.get_current_span().get_span_context()
    return str(TraceParent(found.trace_id, found.span_id, found.trace_flags.sampled)) if found.is_valid else None


class TracingPlugin:
    """Emits spans: give one to `@durable_execution(plugins=[…])`, or set DURABLE_TRACING for all functions.

    `provider` is the global one unless given; without an SDK nothing is emitted. `ratio` is the part of the executions
    that is traced, for those that were not started in a span; the others follow theirs.

    Raises:
        ImportError: the package opentelemetry-api is not installed.
    """

    def __init__(self, provider: TracerProvider | None = None, *, ratio: float = 1.0) -> None:
        if not _is_installed:
            raise ImportError("traces need the package opentelemetry-api: install perdure[otel]")
        self._provider = provider
        self._ratio = ratio

    def create_plugin(self, info: InvocationStartInfo) -> DurableInstrumentationPlugin:
        """Return what emits the spans of one invocation."""
        started = parsed_trace(info.trace_parent)
        return _InvocationSpans(
            trace.get_tracer(TRACER, tracer_provider=self._provider),
            started or own_trace(info.execution_arn, self._ratio),
        )


class _InvocationSpans(DurableInstrumentationPlugin):
    """The spans of one invocation: its own, and one for each body that runs in it."""

    def __init__(self, tracer: Tracer, parent: TraceParent) -> None:
        self._tracer = tracer
        self._parent = trace.set_span_in_context(trace.NonRecordingSpan(_span_context(parent)), otel_context.Context())
        self._span: Span = trace.INVALID_SPAN
        self._below: Context = self._parent
        self._token: Any = None
        self._lock = threading.Lock()
        self._bodies: dict[tuple[str, int], tuple[Span, Any]] = {}

    def on_invocation_start(self, info: InvocationStartInfo) -> None:
        """Begin the span of the invocation; what the handler does hangs below it."""
        self._span = self._tracer.start_span(
            f"invocation {_function_of(info)}",
            self._parent,
            trace.SpanKind.CONSUMER,
            _about_invocation(info) | {"perdure.invocation.is_first": info.is_first_invocation},
            _links_of(info),
        )
        self._below = trace.set_span_in_context(self._span)
        self._token = otel_context.attach(self._below)

    def on_invocation_end(self, info: InvocationEndInfo) -> None:
        """End it, and everything that an abandoned body has left open."""
        # First, and whatever an exporter then does: the next invocation of this thread must not hang below this one.
        if self._token is not None:
            otel_context.detach(self._token)
        with self._lock:
            left_open, self._bodies = self._bodies, {}
        for span, _ in left_open.values():
            _finish(span, UserFunctionOutcome.INCOMPLETE.value, "abandoned")
        failed = info.error.type or "error" if info.error is not None else None
        _finish(self._span, info.status.value, failed)
        if info.status in _CLOSED and info.execution_start_time is not None:
            self._show_whole(info, info.execution_start_time, failed)

    def on_operation_start(self, info: OperationStartInfo) -> None:
        """Note that a wait, a callback or an invoke began here."""
        if info.operation_type in _WITHOUT_FUNCTION and not info.is_replayed:
            self._note(info, "STARTED")

    def on_operation_end(self, info: OperationEndInfo) -> None:
        """Note that one is over."""
        if info.operation_type in _WITHOUT_FUNCTION:
            self._note(info, info.status.value)

    def on_user_function_start(self, info: UserFunctionStartInfo) -> None:
        """Begin the span of an attempt, in the thread that makes it: what the body calls hangs below it."""
        if info.operation_type is not OperationType.STEP or info.is_replay_children:
            return
        span = self._tracer.start_span(f"step {info.name or info.operation_id}", self._below, attributes=_about(info))
        token = otel_context.attach(trace.set_span_in_context(span, self._below))
        with self._lock:
            self._bodies[info.operation_id, threading.get_ident()] = span, token

    def on_user_function_end(self, info: UserFunctionEndInfo) -> None:
        """End it with its outcome."""
        with self._lock:
            begun = self._bodies.pop((info.operation_id, threading.get_ident()), None)
        if begun is not None:
            span, token = begun
            otel_context.detach(token)
            failed = info.error.type or "error" if info.error is not None else None
            _finish(span, info.outcome.value, failed)

    def _note(self, info: OperationInfo, status: str) -> None:
        kind = info.operation_type.value.lower().replace("_", " ")
        self._span.add_event(f"{kind} {status.lower().replace('_', ' ')}", _about(info))

    def _show_whole(self, info: InvocationEndInfo, began: datetime, failed: str | None) -> None:
        """Show the execution from its start to its end, once: it was this invocation that closed it."""
        span = self._tracer.start_span(
            f"execution {_function_of(info)}",
            self._parent,
            attributes=_about_invocation(info),
            links=_links_of(info),
            start_time=int(began.timestamp() * 1e9),
        )
        _finish(span, info.status.value, failed)


def _finish(span: Span, outcome: str, failed: str | None) -> None:
    # The type of an error, never its message: that may hold what not everybody may see.
    span.set_attribute("perdure.outcome", outcome)
    if failed is not None:
        span.set_attribute("error.type", failed)
        span.set_status(trace.StatusCode.ERROR, failed)
    span.end()


def _span_context(parent: TraceParent) -> SpanContext:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else trace.TraceFlags.DEFAULT)
    return trace.SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)


def _links_of(info: InvocationInfo) -> list[Link]:
    invoker = parsed_trace(info.invoker_trace)
    return [] if invoker is None else [trace.Link(_span_context(invoker), {"perdure.relation": "invoked by"})]


def _function_of(info: InvocationInfo) -> str:
    match = _FUNCTION.search(info.execution_arn)
    return match[1] if match else info.execution_arn


def _about_invocation(info: InvocationInfo) -> dict[str, Any]:
    return {
        "perdure.execution.arn": info.execution_arn,
        "perdure.execution.id": info.execution_arn.rpartition("/")[2],
        "perdure.function": _function_of(info),
        "perdure.invocation.id": info.request_id,
    }


def _about(info: OperationInfo) -> dict[str, Any]:
    known = {
        "perdure.operation.id": info.operation_id,
        "perdure.operation.kind": info.sub_type or info.operation_type.value,
        "perdure.operation.name": info.name,
        "perdure.operation.parent": info.parent_id,
        "perdure.attempt": info.attempt,
    }
    return {name: value for name, value in known.items() if value is not None}
