"""`DurableFunctionTestRunner`: runs a handler to its end in memory, with virtual time and crash injection."""

from __future__ import annotations

import json
import random as random_module
from types import TracebackType
from typing import Any

from durable_engine.core.ports import InvocationStore
from durable_engine.core.replay import run_invocation
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.types import ErrorObject, InvocationStatus
from durable_engine.testing import memory_copies, memory_pauses
from durable_engine.testing.clock import VirtualClock
from durable_engine.testing.crashes import CrashingStore, CrashPlan, SimulatedCrash
from durable_engine.testing.functions import KnownFunctions
from durable_engine.testing.golden import GoldenHistory
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.memory_store import MemoryStore, callback_id, parse_callback_id
from durable_engine.testing.mocks import Mock, Mocks, SideEffect, mocked_function
from durable_engine.testing.results import DurableFunctionsTestError, DurableFunctionTestResult, operations_of


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
        self._functions = KnownFunctions()
        self._mocks = Mocks()
        self._context_type = self._mocks.context_type()
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

    def register_durable_function(self, name: str, handler: DurableHandler) -> None:
        """Let `invoke` find a handler under a name, before those that are registered."""
        self._functions.add(name, handler)

    def mock_step(
        self,
        name: str,
        *,
        result: Any = None,
        error: Exception | None = None,
        side_effect: SideEffect | None = None,
    ) -> Mock:
        """Let every step of a name return a result, raise an error, or do what a function of its context does.

        `side_effect` may also be a list: each attempt takes the next of its results and exceptions. Retries, records
        and the operation's name stay as they are.
        """
        mock = self._mocks.steps[name] = Mock(result, error, side_effect)
        return mock

    def mock_callback(self, name: str, *, result: str | bytes | None = None, error: ErrorObject | None = None) -> None:
        """Complete every callback of a name, or of a `wait_for_callback` of that name, as soon as it is open."""
        self._mocks.callbacks[name] = Mock(error if error is not None else result)

    def mock_invoke(
        self,
        function_name: str,
        *,
        result: Any = None,
        error: Exception | None = None,
        side_effect: SideEffect | None = None,
    ) -> Mock:
        """Let every invoke of a function return a result, raise an error, or do what a function of the payload does."""
        mock = Mock(result, error, side_effect)
        self._functions.add(function_name, mocked_function(function_name, mock))
        return mock

    def run(self, input: str | None = None, *, execution_name: str = "execution-name") -> DurableFunctionTestResult:
        """Run one execution to its end. `input` is JSON text; other text is taken as a string.

        Raises:
            DurableFunctionsTestError: it waits for a callback or was paused.
        """
        return self.wait_for_result(self.run_async(input, execution_name=execution_name))

    def run_async(self, input: str | None = None, *, execution_name: str = "execution-name") -> str:
        """Run one execution as far as it goes by itself and return its ARN."""
        execution = MemoryExecution(
            self.handler, _json_text(input), self.clock, execution_name, functions=self._functions
        )
        self._executions[execution.id] = execution
        self.drive(execution)
        return execution.id

    def wait_for_result(self, arn: str) -> DurableFunctionTestResult:
        """Return how an execution ended; of one that continued as new, how the last one did.

        Raises:
            DurableFunctionsTestError: it has not.
        """
        execution = self.execution(arn).newest
        if not execution.is_closed:
            open_callbacks = [
                call.name or call.operation_id
                for member in execution.family()
                for call in member.callbacks.values()
                if call.status == "STARTED"
            ]
            raise DurableFunctionsTestError(
                f"the execution is {execution.status}"
                + (f": {execution.pause_reason}" if execution.pause_reason else "")
                + (f"; callbacks: {', '.join(open_callbacks)}" if open_callbacks else "")
            )
        last = execution.events[-1]
        ids = {each: callback_id(execution.id, each) for each in execution.callbacks}
        return DurableFunctionTestResult(
            InvocationStatus(execution.status),
            last.payload,
            ErrorObject.from_text(last.error),
            list(execution.events),
            operations_of(execution.events, execution.times(), ids),
        )

    def record_history(self, arn: str) -> GoldenHistory:
        """Return the history of an execution as it stands, to be kept and replayed against later code."""
        execution = self.execution(arn)
        return GoldenHistory(self.handler.name, self.handler.version, execution.id, tuple(execution.events))

    def wait_for_callback(self, arn: str, name: str | None = None) -> str:
        """Return the id of an open callback: the one of that name, or the newest; also of executions it invoked.

        Raises:
            DurableFunctionsTestError: none is open.
        """
        execution = self.execution(arn)
        for member in execution.family():
            for callback in reversed(list(member.callbacks.values())):
                if callback.status == "STARTED" and name in (None, callback.name):
                    return callback_id(member.id, callback.operation_id)
        raise DurableFunctionsTestError(f"no callback {name or ''} is open; the execution is {execution.status}")

    def send_callback_success(self, callback_id: str, result: bytes | str | None = None) -> None:
        """Complete a callback and let the execution go on."""
        execution, operation_id = self._callback(callback_id)
        execution.complete_callback(operation_id, payload=result.decode() if isinstance(result, bytes) else result)
        self.drive(execution.root)

    def send_callback_failure(self, callback_id: str, error: ErrorObject | None = None) -> None:
        """Fail a callback and let the execution go on."""
        execution, operation_id = self._callback(callback_id)
        execution.complete_callback(operation_id, error=(error or ErrorObject()).to_text())
        self.drive(execution.root)

    def send_callback_heartbeat(self, callback_id: str) -> None:
        """Start a callback's heartbeat timeout again."""
        execution, operation_id = self._callback(callback_id)
        execution.heartbeat(operation_id)

    def redrive(self, arn: str) -> str:
        """Let a failed or stopped execution go on from what failed, as a new one; run it and return its ARN.

        Raises:
            NotPossible: it is live or has succeeded.
        """
        return self._adopt(memory_copies.redrive(self.execution(arn)))

    def rewind(self, arn: str, operation_id: str) -> str:
        """Let an execution that has ended go on from before an operation, as a new one; run it and return its ARN.

        Raises:
            NotPossible: it is live and not paused.
        """
        return self._adopt(memory_copies.rewind(self.execution(arn), operation_id))

    def fork(self, arn: str, operation_id: str) -> str:
        """Start a copy of an execution from before an operation, run it and return its ARN; the original goes on."""
        return self._adopt(memory_copies.fork(self.execution(arn), operation_id))

    def pause(self, arn: str, reason: str = "") -> None:
        """Pause an execution, as an operator does.

        Raises:
            NotPossible: it is closed or paused already.
        """
        memory_pauses.pause(self.execution(arn), reason)

    def resume(self, arn: str) -> None:
        """Let a paused execution go on.

        Raises:
            NotPossible: it is not paused.
        """
        execution = self.execution(arn)
        memory_pauses.resume(execution)
        self.drive(execution.root)

    def crash_after(self, what: int | str) -> None:
        """Let the process die once, right after the outcome of an operation became durable.

        `what` is the operation's name, or the number of any event of the history.
        """
        self._crash = _crash_plan(what, before=False)

    def crash_before(self, what: int | str) -> None:
        """Let the process die once, right before the outcome of an operation, or a numbered event, became durable."""
        self._crash = _crash_plan(what, before=True)

    def advance(self, seconds: float) -> None:
        """Move the clock and do what falls due."""
        until = self.clock.now + seconds
        for execution in list(self._executions.values()):
            while (due := _next_due(execution)) is not None and due <= until:
                self.clock.advance(max(0.0, due - self.clock.now))
                self.drive(execution)
        self.clock.advance(until - self.clock.now)

    def execution(self, arn: str) -> MemoryExecution:
        """Return the state of an execution, or of one that it invoked, for a closer look."""
        for execution in self._executions.values():
            for member in execution.family():
                if member.id == arn:
                    return member
        raise DurableFunctionsTestError(f"there is no execution {arn}")

    def drive(self, execution: MemoryExecution) -> None:
        """Claim and run invocations, also of executions it invoked, until nothing can happen by itself."""
        while True:
            for member in execution.family():
                member.fire_due()
            ready = next((member for member in execution.family() if member.status == "PENDING"), None)
            if ready is not None:
                self._invoke(ready)
            elif not self._answer_mocked(execution) and not self._skip_to_next(execution):
                return

    def _adopt(self, execution: MemoryExecution) -> str:
        self._executions[execution.id] = execution
        self.drive(execution)
        return execution.id

    def _invoke(self, execution: MemoryExecution) -> None:
        store: InvocationStore = MemoryStore(execution, flushes_starts=self.flushes_starts)
        # The plan counts the events of the execution under test, not of those it invokes.
        if self._crash is not None and execution.parent is None:
            store = CrashingStore(store, self._crash)
        try:
            run_invocation(
                execution.handler,
                store,
                clock=self.clock,
                random=self._random,
                arn=execution.id,
                context_type=self._context_type,
                event_times=execution.times,
            )
        except SimulatedCrash:
            execution.recover()
        except Exception:  # noqa: BLE001 - what a worker does with it: the invocation crashed
            execution.recover("Runtime.UnhandledError")

    def _answer_mocked(self, execution: MemoryExecution) -> bool:
        for member in execution.family():
            for callback in list(member.callbacks.values()):
                mock = self._mocks.callback(callback.name) if callback.status == "STARTED" else None
                if mock is not None and member.status == "SUSPENDED":
                    answer = mock.answer()
                    if isinstance(answer, ErrorObject):
                        member.complete_callback(callback.operation_id, error=answer.to_text())
                    else:
                        text = answer.decode() if isinstance(answer, bytes) else answer
                        member.complete_callback(callback.operation_id, payload=text)
                    return True
        return False

    def _skip_to_next(self, execution: MemoryExecution) -> bool:
        waiting = [member for member in execution.family() if member.status == "SUSPENDED"]
        due = _next_due(execution)
        # Time does not pass over an open callback: the test decides whether it is completed or times out.
        if not self.skip_time or due is None or not any(_passes(member, due) for member in waiting):
            return False
        self.clock.advance(max(0.0, due - self.clock.now))
        return True

    def _callback(self, callback_id: str) -> tuple[MemoryExecution, str]:
        execution_id, operation_id = parse_callback_id(callback_id)
        return self.execution(execution_id), operation_id


def _passes(execution: MemoryExecution, due: float) -> bool:
    """Whether time passes by itself to what is due next: a timer, or the execution's end in the middle of one."""
    return due in execution.timers.values() or (due == execution.expires_at and bool(execution.timers))


def _next_due(execution: MemoryExecution) -> float | None:
    dues = [member.next_due() for member in execution.family()]
    return min((due for due in dues if due is not None), default=None)


def _crash_plan(what: int | str, *, before: bool) -> CrashPlan:
    return CrashPlan(what, before) if isinstance(what, int) else CrashPlan(before=before, operation=what)


def _json_text(text: str | None) -> str:
    if text is None:
        return "{}"
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
