"""`DurableContext`, what a handler calls, and the decorators of the functions it hands over."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

from durable_engine.sdk import type_registry
from durable_engine.sdk.concurrency import BatchResult
from durable_engine.sdk.config import (
    CallbackConfig,
    ChildConfig,
    InvokeConfig,
    MapConfig,
    ParallelBranch,
    ParallelConfig,
    StepConfig,
    TransactionConfig,
    WaitForCallbackConfig,
)
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.lambda_context import LambdaContext
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.saga import Saga
from durable_engine.sdk.types import (
    LoggerInterface,
    StepContext,
    WaitForCallbackContext,
    WaitForConditionCheckContext,
)
from durable_engine.sdk.waits import WaitForConditionConfig

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Which execution this is. `tenant_id` is what whoever started or invoked it gave, if anything."""

    durable_execution_arn: str
    tenant_id: str | None = None


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

    @property
    @abstractmethod
    def lambda_context(self) -> LambdaContext:
        """What stands in for the context that AWS Lambda gives its functions: ids, and the time that is left."""

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
    def transaction(
        self, func: Callable[[StepContext], T], name: str | None = None, config: TransactionConfig | None = None
    ) -> T:
        """Run a function in a transaction of the engine's database and commit its result with it: exactly once.

        What it writes through Django's default connection is committed if and only if its outcome is recorded. It runs
        inside `transaction.atomic()`; what it raises rolls everything back and is retried by its strategy. Other
        effects happen at least once, as in a step: do them with `transaction.on_commit` or in a step of their own.

        Raises:
            StepError: the last attempt failed.
        """

    @abstractmethod
    def wait(self, duration: Duration | timedelta, name: str | None = None) -> None:
        """Suspend the execution for a while; it holds no process and survives restarts and deploys."""

    @abstractmethod
    def create_callback(
        self, name: str | None = None, config: CallbackConfig | None = None, *, key: str | None = None
    ) -> Callback:
        """Open a callback that somebody outside completes; `key` is short for `CallbackConfig(key=…)`.

        Code between this call and `result()` runs again on every replay: put what must happen once into a step, or
        use `wait_for_callback`.

        Raises:
            CallbackKeyTakenError: another open callback of the function has its key.
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
            CallbackKeyTakenError: another open callback of the function has its key.
            CallbackSubmitterError: the submitter failed after its last attempt.
        """

    @abstractmethod
    def wait_for_condition(
        self,
        check: Callable[[T, WaitForConditionCheckContext], T],
        config: WaitForConditionConfig[T],
        name: str | None = None,
    ) -> T:
        """Run a check again and again until its strategy is satisfied, and return the state it then had.

        Each check is given the state that the one before returned, decoded from what was recorded, the first one the
        initial state. Between checks the execution is suspended.

        Raises:
            WaitForConditionError: the strategy's last check was made, or the check or the strategy raised.
        """

    @abstractmethod
    def invoke(
        self,
        function_name: str | DurableHandler,
        payload: Any = None,
        name: str | None = None,
        config: InvokeConfig[Any, Any] | None = None,
    ) -> Any:
        """Run another function as an execution of its own, exactly one, and return its result.

        `function_name` is a name, `name:version`, an ARN, or the handler itself; without a version the newest one is
        taken. This execution is suspended meanwhile. The invoked one goes on by itself when this one ends first.

        Raises:
            InvokeError: it failed, timed out or was stopped, with the `error_type` it ended with; or no function has
                that name, `FunctionNotFound`.
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
    def parallel(
        self,
        functions: Sequence[Callable[[DurableContext], T]],
        name: str | None = None,
        config: ParallelConfig | None = None,
    ) -> BatchResult[T]:
        """Run functions with durable operations of their own at the same time, each as a branch with its own context.

        A `ParallelBranch` gives a function a name; without one it is called `parallel-branch-0` and so on.
        Returns when the batch is complete by `config.completion_config`: with the default, when all branches have
        succeeded or one has failed. A branch that fails raises nothing here: look at the result, or call its
        `throw_if_error()`. A branch that waits holds no thread, and goes on while others still run.

        Raises:
            ChildContextError: the result could not be stored, or `should_complete` raised.
        """

    @abstractmethod
    def map(
        self,
        inputs: Sequence[U],
        func: Callable[[DurableContext, U, int, Sequence[U]], T],
        name: str | None = None,
        config: MapConfig | None = None,
    ) -> BatchResult[T]:
        """Run one function for each input, `func(context, item, index, inputs)`, as `parallel` does with several.

        Inputs must be the same on every replay: take them from the event or from a step.

        Raises:
            ChildContextError: the result could not be stored, or `should_complete` raised.
        """

    @abstractmethod
    def patched(self, change_id: str) -> bool:
        """Whether to take the new branch of changed code; `change_id` names the change.

        True for executions that come to this place for the first time, False for those that passed it before the change
        was made. Decided once in a context, recorded, and the same on every replay; the contexts inside inherit it.
        """

    @abstractmethod
    def continue_as_new(self, input: Any = None) -> NoReturn:
        """End this execution and start the next one in its place, with `input` and an empty history; does not return.

        For loops without an end, whose history would grow for ever. The next one takes over the name, the tags and
        whoever waits for the result, and runs the newest version of the function. Both happen, or neither.

        Raises:
            InvalidStateError: called in a child context or in a branch.
        """

    @abstractmethod
    def saga(self, config: StepConfig | None = None) -> Saga:
        """Begin steps that are undone, last one first, when something fails: `with context.saga() as saga:`.

        `config` is for the compensations that are given none of their own.
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


def durable_parallel_branch(
    name: str | None = None,
) -> Callable[[Callable[Concatenate[DurableContext, P], T]], Callable[P, ParallelBranch[T]]]:
    """Make a function usable as `context.parallel([func(argument, …), …])`; `name` is that of the branch.

    It takes parentheses: `@durable_parallel_branch()`.
    """

    def decorate(func: Callable[Concatenate[DurableContext, P], T]) -> Callable[P, ParallelBranch[T]]:
        prepared = _prepared(func)

        @functools.wraps(func)
        def branch(*args: P.args, **kwargs: P.kwargs) -> ParallelBranch[T]:
            return ParallelBranch(prepared(*args, **kwargs), name)

        return branch

    return decorate


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
