"""What the conformance suite needs of a store: one execution, driven step by step, looked at from outside.

The execution comes with those it invokes: they are driven too, and named callbacks are looked for in all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from durable_engine.core.ports import RecordedEvent
from durable_engine.sdk.registry import DurableHandler
from durable_engine.testing import memory_copies, memory_pauses
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.runner import DurableFunctionTestRunner


class Driver(Protocol):
    """One execution. `flushes_starts`: the start of a step is durable before its body does anything."""

    flushes_starts: bool

    def start(self, handler: DurableHandler, input: str = "{}") -> None:
        """Start the execution without running it."""
        ...

    def drive(self) -> None:
        """Claim and run invocations until nothing can happen by itself.

        Due times are brought forward, except while a callback is open. A crash by plan is recovered from.
        """
        ...

    def crash_at(self, event_id: int, *, before: bool) -> None:
        """Let the process die once, right before or right after that event becomes durable."""
        ...

    def complete_callback(self, name: str, *, result: str | None = None, error: str | None = None) -> None:
        """Complete the open callback of that name from outside; does not run anything."""
        ...

    def expire_callback(self, name: str) -> None:
        """Let the next deadline of the open callback of that name pass; does not run anything."""
        ...

    def stop(self) -> None:
        """Stop the execution from outside."""
        ...

    def let_time_pass(self) -> None:
        """Called in a loop by a body that runs until something has happened."""
        ...

    def redrive(self) -> None:
        """Redrive the execution; the driver is about the new one from then on. Does not run anything."""
        ...

    def rewind(self, operation_id: str) -> None:
        """Rewind the execution, likewise."""
        ...

    def fork(self, operation_id: str) -> None:
        """Fork the execution, likewise."""
        ...

    def swap(self) -> None:
        """Go to the original of a fork, or back."""
        ...

    def pause_it(self) -> None:
        """Pause the execution from outside, as an operator does."""
        ...

    def resume(self) -> None:
        """Let it go on. Does not run anything."""
        ...

    def stop_child(self) -> None:
        """Stop the execution that this one invoked last."""
        ...

    def expire_child(self) -> None:
        """Let the execution timeout pass of the execution that this one invoked last."""
        ...

    def follow(self) -> None:
        """Go to what goes on in the execution's place: the driver is about that one from then on."""
        ...

    def ask_to_release(self) -> None:
        """Ask the process that runs the execution to hand it over, once."""
        ...

    @property
    def events(self) -> Sequence[RecordedEvent]:
        """The history."""
        ...

    @property
    def status(self) -> str:
        """The execution's status."""
        ...

    @property
    def pause(self) -> tuple[str, str]:
        """Kind and reason of a pause."""
        ...

    @property
    def tags(self) -> dict[str, str]:
        """The execution's tags."""
        ...

    @property
    def status_text(self) -> str:
        """The execution's status text."""
        ...


class MemoryDriver:
    """The in-memory store behind the suite."""

    def __init__(self) -> None:
        self.flushes_starts = False
        self._runner: DurableFunctionTestRunner | None = None
        self._execution: MemoryExecution | None = None
        self._other: MemoryExecution | None = None

    @property
    def runner(self) -> DurableFunctionTestRunner:
        assert self._runner is not None, "start() first"
        return self._runner

    @property
    def execution(self) -> MemoryExecution:
        assert self._execution is not None, "start() first"
        return self._execution

    def start(self, handler: DurableHandler, input: str = "{}") -> None:
        self._runner = DurableFunctionTestRunner(handler)
        self._execution = MemoryExecution(handler, input, self._runner.clock)

    def drive(self) -> None:
        self.runner.flushes_starts = self.flushes_starts
        self.runner.drive(self.execution)

    def crash_at(self, event_id: int, *, before: bool) -> None:
        if before:
            self.runner.crash_before(event_id)
        else:
            self.runner.crash_after(event_id)

    def complete_callback(self, name: str, *, result: str | None = None, error: str | None = None) -> None:
        member, operation_id = self._callback(name)
        member.complete_callback(operation_id, payload=result, error=error)

    def expire_callback(self, name: str) -> None:
        member, operation_id = self._callback(name)
        callback = member.callbacks[operation_id]
        deadlines = [at for at in (callback.deadline, callback.heartbeat_deadline) if at is not None]
        self.runner.clock.advance(min(deadlines) - self.runner.clock.now)
        member.fire_due()

    def stop(self) -> None:
        self.execution.stop()

    def let_time_pass(self) -> None:
        self.runner.clock.advance(0.05)
        time.sleep(0.001)

    def redrive(self) -> None:
        self._execution = memory_copies.redrive(self.execution)

    def rewind(self, operation_id: str) -> None:
        self._execution = memory_copies.rewind(self.execution, operation_id)

    def fork(self, operation_id: str) -> None:
        self._other = self.execution
        self._execution = memory_copies.fork(self.execution, operation_id)

    def swap(self) -> None:
        self._other, self._execution = self._execution, self._other

    def pause_it(self) -> None:
        memory_pauses.pause(self.execution)

    def resume(self) -> None:
        memory_pauses.resume(self.execution)

    def stop_child(self) -> None:
        self.execution.children[-1].stop()

    def expire_child(self) -> None:
        child = self.execution.children[-1]
        assert child.expires_at is not None
        self.runner.clock.advance(child.expires_at - self.runner.clock.now)
        child.fire_due()

    def follow(self) -> None:
        assert self.execution.successor is not None
        self._execution = self.execution.successor

    def ask_to_release(self) -> None:
        self.execution.stopping = True

    @property
    def events(self) -> Sequence[RecordedEvent]:
        return self.execution.events

    @property
    def status(self) -> str:
        return self.execution.status

    @property
    def pause(self) -> tuple[str, str]:
        return self.execution.pause_kind, self.execution.pause_reason

    @property
    def tags(self) -> dict[str, str]:
        return self.execution.tags

    @property
    def status_text(self) -> str:
        return self.execution.status_text

    def _callback(self, name: str) -> tuple[MemoryExecution, str]:
        return next(
            (member, id)
            for member in self.execution.family()
            for id, callback in member.callbacks.items()
            if callback.name == name
        )
