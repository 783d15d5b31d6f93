"""`DurableContext`, what a handler calls, and the decorators of the functions it hands over."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from durable_engine.sdk import type_registry
from durable_engine.sdk.config import CallbackConfig, ChildConfig, StepConfig, WaitForCallbackConfig
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.types import LoggerInterface, StepContext, WaitForCallbackContext

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Which execution this is."""

    durable_execution_arn: str


class Callback(ABC):
    """A callback that was created: hand out its id, then ask for its result."""

    @property
    @abstractmethod
    def callback_id(self) -> str:
        """The opaque id under which the outside completes it; the same on every replay."""

    @property
    @abstractmethod
    def operation_id(self) -> str:
        """The id of the operation in the history."""

    @abstractmethod
    def result(self) -> Any:
        """Return what the outside sent; suspends the execution until it has.

        The text as it came, unless the config's `serdes` decodes it; None when nothing was sent.

        Raises:
            CallbackExternalError: completed with a failure.
            CallbackTimeoutError: its timeout or heartbeat timeout passed.
        """


class DurableContext(ABC):
    """The durable operations of a handler.

    Each call is recorded once and replayed afterwards, so a handler must call the same operations in the same order
    each time: keep clocks, random numbers and I/O inside steps. A context belongs to the function it was given to.
    Inside the body of a step no context may be used; inside the body of a child context only the one given to it.

    Names are 1 to 256 printable ASCII characters, shown in histories and compared on replay; they need not be unique.
    Every operation may raise `ValidationError` for its arguments, before anything is recorded.
    """

    @property
    @abstractmethod
    def logger(self) -> LoggerInterface:
        """A logger that is silent while history is replayed and names the execution in every record."""

    @property
    @abstractmethod
    def execution_context(self) -> ExecutionContext:
        """Which execution this is."""

    @abstractmethod
    def is_replaying(self) -> bool:
        """Whether the code at this point has run before, in an earlier invocation."""

    @abstractmethod
    def set_logger(self, logger: LoggerInterface) -> None:
        """Put another logger behind `logger`, in this context and the children made from now on."""

    @abstractmethod
    def step(self, func: Callable[[StepContext], T], name: str | None = None, config: StepConfig | None = None) -> T:
        """Run a function once and record its result; retried by its strategy when it raises.

        The value returned is the stored one, decoded, on the first run and on every replay.

        Raises:
            StepError: the last attempt failed; its cause and `error_type` say how.
        """

    @abstractmethod
    def wait(self, duration: Duration | timedelta, name: str | None = None) -> None:
        """Suspend the execution for a while; it holds no process and survives restarts and deploys."""

    @abstractmethod
    def create_callback(self, name: str | None = None, config: CallbackConfig | None = None) -> Callback:
        """Open a callback that somebody outside completes.

        Code between this call and `result()` runs again on every replay: put what must happen once into a step, or
        use `wait_for_callback`.
        """

    @abstractmethod
    def wait_for_callback(
        self,
        submitter: Callable[[str, WaitForCallbackContext], None],
        name: str | None = None,
        config: WaitForCallbackConfig | None = None,
    ) -> Any:
        """Open a callback, hand its id out by running `submitter` as a step, and return what the outside sent.

        Raises:
            CallbackExternalError: completed with a failure.
            CallbackTimeoutError: its timeout or heartbeat timeout passed.
            CallbackSubmitterError: the submitter failed after its last attempt.
        """

    @abstractmethod
    def run_in_child_context(
        self,
        func: Callable[[DurableContext], T],
        name: str | None = None,
        config: ChildConfig[T] | None = None,
    ) -> T:
        """Run a function with durable operations of its own and record its result; replay then skips its body.

        Raises:
            ChildContextError: the function raised; its cause and `error_type` say what.
        """

    @abstractmethod
    def tag(self, **tags: str | int | float | bool) -> None:
        """Set tags of the execution, by which it is found; recorded with the next operation."""

    @abstractmethod
    def set_status_text(self, text: str) -> None:
        """Say in words how far the execution is, for people; recorded with the next operation, 256 characters."""


def original_name(func: object) -> str | None:
    """Return the name that `durable_step` and its like left on a function: the default name of its operation."""
    return getattr(func, "_original_name", None)


def durable_step(func: Callable[Concatenate[StepContext, P], T]) -> Callable[P, Callable[[StepContext], T]]:
    """Make a function usable as `context.step(func(argument, …))`, named after itself."""
    return _prepared(func)


def durable_with_child_context(
    func: Callable[Concatenate[DurableContext, P], T],
) -> Callable[P, Callable[[DurableContext], T]]:
    """Make a function usable as `context.run_in_child_context(func(argument, …))`, named after itself."""
    return _prepared(func)


def durable_wait_for_callback(
    func: Callable[Concatenate[str, WaitForCallbackContext, P], T],
) -> Callable[P, Callable[[str, WaitForCallbackContext], T]]:
    """Make a function usable as `context.wait_for_callback(func(argument, …))`, named after itself."""
    return _prepared(func)


def _prepared(func: Callable[..., Any]) -> Callable[..., Any]:
    type_registry.learn_from_function(func)
    name = func.__name__

    @functools.wraps(func)
    def prepare(*args: Any, **kwargs: Any) -> Callable[..., Any]:
        def body(*context: Any) -> Any:
            return func(*context, *args, **kwargs)

        body._original_name = name  # type: ignore[attr-defined]
        return body

    return prepare
