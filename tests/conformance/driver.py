"""What the conformance suite needs of a store: one execution, driven step by step, looked at from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from durable_engine.core.ports import RecordedEvent
from durable_engine.sdk.registry import DurableHandler
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
        self.execution.complete_callback(self._operation(name), payload=result, error=error)

    def expire_callback(self, name: str) -> None:
        callback = self.execution.callbacks[self._operation(name)]
        deadlines = [at for at in (callback.deadline, callback.heartbeat_deadline) if at is not None]
        self.runner.clock.advance(min(deadlines) - self.runner.clock.now)
        self.execution.fire_due()

    def stop(self) -> None:
        self.execution.stop()

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

    def _operation(self, name: str) -> str:
        return next(id for id, callback in self.execution.callbacks.items() if callback.name == name)
