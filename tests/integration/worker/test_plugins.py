"""Plugins on a worker: times are those of the history, and one that fails costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from durable_engine import DurableContext, DurableInstrumentationPlugin, Duration, durable_execution
from durable_engine.models import Event, Execution
from durable_engine.sdk import registry
from durable_engine.sdk.plugin import InvocationEndInfo, InvocationStartInfo, OperationEndInfo
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.starts import start_execution
from durable_engine.storage.connection import open_engine_connection
from durable_engine.storage.outside import wake_due
from durable_engine.worker.heartbeat import Heartbeat
from durable_engine.worker.loop import InvocationLoop
from tests.processes import wait_for


class Recorder(DurableInstrumentationPlugin):
    def __init__(self) -> None:
        self.starts: list[InvocationStartInfo] = []
        self.ends: list[InvocationEndInfo] = []
        self.operations: list[OperationEndInfo] = []

    def on_invocation_start(self, info: InvocationStartInfo) -> None:
        self.starts.append(info)

    def on_invocation_end(self, info: InvocationEndInfo) -> None:
        self.ends.append(info)

    def on_operation_end(self, info: OperationEndInfo) -> None:
        self.operations.append(info)
        raise RuntimeError("the exporter is away")


@pytest.fixture
def plugin(transactional_db: None, broker_url: str) -> Iterator[Recorder]:
    recorder = Recorder()
    with registry.isolated():

        @durable_execution(name="observed", plugins=[recorder])
        def observed(event: Any, context: DurableContext) -> str:
            context.step(lambda step: "first", name="first")
            context.wait(Duration(0.01), name="pause")
            return "done"

        yield recorder


def is_suspended(execution_id: UUID) -> bool:
    return Execution.objects.filter(pk=execution_id, status="SUSPENDED").exists()


def test_a_worker_tells_plugins_what_is_in_the_history(plugin: Recorder) -> None:
    heartbeat = Heartbeat(lambda worker_id: None)
    heartbeat.start()
    loop = InvocationLoop(heartbeat)
    execution_id = start_execution("observed", "{}", actor=PYTHON_CODE).id
    try:
        wait_for(heartbeat.worker_id, "the worker's registration")
        loop.follow(execution_id)
        with closing(open_engine_connection()) as connection:
            # Not when the wait was over before the suspend: the second invocation began in place then.
            wait_for(lambda: not is_suspended(execution_id) or wake_due(connection, 10), "the end of the wait")
        loop.follow(execution_id)
    finally:
        loop.close()
        heartbeat.stop()

    execution = Execution.objects.get(pk=execution_id)
    events = {(event.event_type, event.name): event for event in Event.objects.filter(execution=execution)}
    assert execution.status == "SUCCEEDED"
    assert [start.is_first_invocation for start in plugin.starts] == [True, False]
    assert [end.status for end in plugin.ends] == ["PENDING", "SUCCEEDED"]
    assert len({start.request_id for start in plugin.starts}) == 2
    assert {start.execution_start_time for start in plugin.starts} == {events["ExecutionStarted", None].event_at}
    assert [info.name for info in plugin.operations] == ["first", "pause"]
    pause = plugin.operations[1]
    assert (pause.start_time, pause.end_time) == (
        events["WaitStarted", "pause"].event_at,
        events["WaitSucceeded", "pause"].event_at,
    )
