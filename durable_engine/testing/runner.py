"""`DurableFunctionTestRunner`: runs a handler to its end in memory, with virtual time and crash injection."""

from __future__ import annotations

import json
import random as random_module
from types import TracebackType

from durable_engine.core.ports import InvocationStore
from durable_engine.core.replay import run_invocation
from durable_engine.sdk.registry import DurableHandler
from durable_engine.testing.clock import VirtualClock
from durable_engine.testing.crashes import CrashingStore, CrashPlan, SimulatedCrash
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.memory_store import MemoryStore, callback_id, parse_callback_id
from durable_engine.testing.results import DurableFunctionsTestError, DurableFunctionTestResult, ErrorObject


class DurableFunctionTestRunner:
    """Runs executions of one handler on the engine's own replay machine over an in-memory store.

    Time is virtual: waits, retry delays and timeouts pass at once, in the order they fall due (`skip_time`), or when
    `advance` is called. Nothing runs in the background: every call returns when nothing more can happen by itself.
    """

    def __init__(self, handler: DurableHandler, *, skip_time: bool = True, seed: int = 0) -> None:
        self.handler = handler
        self.clock = VirtualClock()
        self.skip_time = skip_time
        self.flushes_starts = False
        self._random = random_module.Random(seed).random  # noqa: S311 - jitter, repeatable
        self._executions: dict[str, MemoryExecution] = {}
        self._crash: CrashPlan | None = None

    def __enter__(self) -> DurableFunctionTestRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget all executions."""
        self._executions.clear()

    def run(self, input: str | None = None, *, execution_name: str = "execution-name") -> DurableFunctionTestResult:
        """Run one execution to its end. `input` is JSON text; other text is taken as a string.

        Raises:
            DurableFunctionsTestError: it waits for a callback or was paused.
        """
        return self.wait_for_result(self.run_async(input, execution_name=execution_name))

    def run_async(self, input: str | None = None, *, execution_name: str = "execution-name") -> str:
        """Run one execution as far as it goes by itself and return its ARN."""
        execution = MemoryExecution(self.handler, _json_text(input), self.clock, execution_name)
        self._executions[execution.id] = execution
        self.drive(execution)
        return execution.id

    def wait_for_result(self, arn: str) -> DurableFunctionTestResult:
        """Return how an execution ended.

        Raises:
            DurableFunctionsTestError: it has not.
        """
        execution = self.execution(arn)
        if not execution.is_closed:
            open_callbacks = [call.name or call.operation_id for call in execution.callbacks.values()]
            raise DurableFunctionsTestError(
                f"the execution is {execution.status}"
                + (f": {execution.pause_reason}" if execution.pause_reason else "")
                + (f"; callbacks: {', '.join(open_callbacks)}" if open_callbacks else "")
            )
        last = execution.events[-1]
        return DurableFunctionTestResult(
            execution.status, last.payload, ErrorObject.from_text(last.error), list(execution.events)
        )

    def wait_for_callback(self, arn: str, name: str | None = None) -> str:
        """Return the id of an open callback: the one of that name, or the newest.

        Raises:
            DurableFunctionsTestError: none is open.
        """
        execution = self.execution(arn)
        for callback in reversed(list(execution.callbacks.values())):
            if callback.status == "STARTED" and name in (None, callback.name):
                return callback_id(execution.id, callback.operation_id)
        raise DurableFunctionsTestError(f"no callback {name or ''} is open; the execution is {execution.status}")

    def send_callback_success(self, callback_id: str, result: bytes | str | None = None) -> None:
        """Complete a callback and let the execution go on."""
        execution, operation_id = self._callback(callback_id)
        execution.complete_callback(operation_id, payload=result.decode() if isinstance(result, bytes) else result)
        self.drive(execution)

    def send_callback_failure(self, callback_id: str, error: ErrorObject | None = None) -> None:
        """Fail a callback and let the execution go on."""
        execution, operation_id = self._callback(callback_id)
        execution.complete_callback(operation_id, error=(error or ErrorObject()).to_text())
        self.drive(execution)

    def send_callback_heartbeat(self, callback_id: str) -> None:
        """Start a callback's heartbeat timeout again."""
        execution, operation_id = self._callback(callback_id)
        execution.heartbeat(operation_id)

    def crash_after(self, event_number: int) -> None:
        """Let the process die once, right after event `event_number` of the next invocations became durable."""
        self._crash = CrashPlan(event_number)

    def crash_before(self, event_number: int) -> None:
        """Let the process die once, right before event `event_number` of the next invocations became durable."""
        self._crash = CrashPlan(event_number, before=True)

    def advance(self, seconds: float) -> None:
        """Move the clock and do what falls due."""
        until = self.clock.now + seconds
        for execution in self._executions.values():
            while (due := execution.next_due()) is not None and due <= until:
                self.clock.advance(max(0.0, due - self.clock.now))
                self.drive(execution)
        self.clock.advance(until - self.clock.now)

    def execution(self, arn: str) -> MemoryExecution:
        """Return the state of an execution, for a closer look."""
        return self._executions[arn]

    def drive(self, execution: MemoryExecution) -> None:
        """Claim and run invocations until nothing can happen by itself."""
        while True:
            execution.fire_due()
            if execution.status == "PENDING":
                self._invoke(execution)
            elif not self._skip_to_next(execution):
                return

    def _invoke(self, execution: MemoryExecution) -> None:
        store: InvocationStore = MemoryStore(execution, flushes_starts=self.flushes_starts)
        if self._crash is not None:
            store = CrashingStore(store, self._crash)
        try:
            run_invocation(self.handler, store, clock=self.clock, random=self._random, arn=execution.id)
        except SimulatedCrash:
            execution.recover()
        except Exception:  # noqa: BLE001 - what a worker does with it: the invocation crashed
            execution.recover("Runtime.UnhandledError")

    def _skip_to_next(self, execution: MemoryExecution) -> bool:
        due = execution.next_due()
        # Time does not pass over an open callback: the test decides whether it is completed or times out.
        if not self.skip_time or due is None or execution.status != "SUSPENDED" or not _only_timers(execution):
            return False
        self.clock.advance(max(0.0, due - self.clock.now))
        return True

    def _callback(self, callback_id: str) -> tuple[MemoryExecution, str]:
        execution_id, operation_id = parse_callback_id(callback_id)
        return self.execution(execution_id), operation_id


def _only_timers(execution: MemoryExecution) -> bool:
    due = execution.next_due()
    return due is not None and due in execution.timers.values()


def _json_text(text: str | None) -> str:
    if text is None:
        return "{}"
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
