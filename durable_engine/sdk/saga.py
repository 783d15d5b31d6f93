"""`context.saga()`: steps with what undoes them, run backwards when something fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from durable_engine.sdk.config import ChildConfig, StepConfig
from durable_engine.sdk.exceptions import InvalidStateError, InvocationError, ValidationError
from durable_engine.sdk.types import LoggerInterface, StepContext

T = TypeVar("T")


class SagaContext(Protocol):
    """What a saga needs of the context it belongs to."""

    @property
    def logger(self) -> LoggerInterface:
        """Where failed compensations are logged."""
        ...

    def step(self, func: Callable[[StepContext], T], name: str | None = None, config: StepConfig | None = None) -> T:
        """Run a step."""
        ...

    def run_in_child_context(
        self, func: Callable[[Any], T], name: str | None = None, config: ChildConfig[T] | None = None
    ) -> T:
        """Run a child context."""
        ...


@dataclass(frozen=True, slots=True)
class CompensationFailure:
    """A compensation that failed for good: what it would have undone is still there."""

    name: str | None
    error: Exception


class Saga:
    """Remembers what undoes the steps so far, and runs it when the `with` block is left with an exception.

    Compensations run in reverse, each a durable step of its own: after a crash among them the saga goes on at the one
    that was running. One that fails does not keep the others from running, nor does it hide the error that made them
    necessary: that is raised again, with a note about each failure. An `InvocationError` undoes nothing, because the
    handler is replayed.
    """

    def __init__(self, context: SagaContext, config: StepConfig | None = None) -> None:
        self._context = context
        self._config = config
        self._undo: list[tuple[str | None, Callable[[], object]]] = []
        self._is_over = False
        self.failures: list[CompensationFailure] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, InvocationError):
            for failure in self.compensate():
                error.add_note(f"{_label(failure)} failed: {type(failure.error).__name__}: {failure.error}")
        self._is_over = True

    def step(
        self,
        func: Callable[[StepContext], T],
        compensation: Callable[[StepContext, T], object],
        name: str | None = None,
        config: StepConfig | None = None,
        *,
        compensation_name: str | None = None,
    ) -> T:
        """Run a step; once it has succeeded, `compensation`, given its result, undoes it.

        A step that fails leaves it open whether anything happened: `add` the compensation before it, if it must be
        undone even so.

        Raises:
            StepError: as `context.step`.
        """
        self._check(compensation)
        name = name or getattr(func, "_original_name", None)
        result = self._context.step(func, name, config)
        undo_name = compensation_name or (f"undo {name}" if name else None)
        self.add(lambda step: compensation(step, result), undo_name)
        return result

    def add(
        self, compensation: Callable[[StepContext], object], name: str | None = None, config: StepConfig | None = None
    ) -> None:
        """Have a step run if the saga fails, before the compensations that were added earlier."""
        self._check(compensation)
        options = config or self._config
        self._undo.append((name, lambda: self._context.step(compensation, name, options)))

    def add_in_child_context(self, compensation: Callable[[Any], object], name: str | None = None) -> None:
        """As `add`, for a function `(context)` with durable operations of its own: an invoke, a wait, several steps."""
        self._check(compensation)
        self._undo.append((name, lambda: self._context.run_in_child_context(compensation, name)))

    def compensate(self) -> list[CompensationFailure]:
        """Undo everything now, in reverse, without an error; return what failed. Nothing is undone twice."""
        failures: list[CompensationFailure] = []
        while self._undo:
            name, undo = self._undo.pop()
            try:
                undo()
            except InvocationError:
                raise
            except Exception as error:
                failures.append(CompensationFailure(name, error))
                self._context.logger.exception("%s failed", _label(failures[-1]))
        self.failures += failures
        return failures

    def _check(self, compensation: object) -> None:
        if self._is_over:
            raise InvalidStateError("the saga is over: its `with` block has been left")
        if not callable(compensation):
            raise ValidationError(f"compensation must be a function, not {compensation!r}")


def _label(failure: CompensationFailure) -> str:
    return f"compensation {failure.name!r}" if failure.name else "a compensation"
