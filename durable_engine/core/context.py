"""`ReplayContext`, the context handlers are given: each method finds its place in the history and hands over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from durable_engine.core.continuation import continue_as_new
from durable_engine.core.errors import storable
from durable_engine.core.operations.base import Scope, check_name
from durable_engine.core.operations.callback import open_callback
from durable_engine.core.operations.child import run_child, run_virtual_child
from durable_engine.core.operations.condition import run_condition
from durable_engine.core.operations.invoke import run_invoke
from durable_engine.core.operations.map import run_map
from durable_engine.core.operations.parallel import run_parallel
from durable_engine.core.operations.patched import run_patched
from durable_engine.core.operations.step import run_step
from durable_engine.core.operations.transaction import run_transaction
from durable_engine.core.operations.wait import run_wait
from durable_engine.sdk.callbacks import wait_for_callback
from durable_engine.sdk.concurrency import BatchResult
from durable_engine.sdk.config import (
    CallbackConfig,
    ChildConfig,
    InvokeConfig,
    MapConfig,
    ParallelConfig,
    StepConfig,
    TransactionConfig,
    WaitForCallbackConfig,
)
from durable_engine.sdk.context import Callback, DurableContext, original_name
from durable_engine.sdk.durations import Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.function_names import FunctionReference, parse_function_name
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.saga import Saga
from durable_engine.sdk.types import StepContext, WaitForCallbackContext, WaitForConditionCheckContext
from durable_engine.sdk.waits import WaitForConditionConfig

T = TypeVar("T")
U = TypeVar("U")

MAX_STATUS_TEXT = 256
MAX_TAG = 256


class ReplayContext(Scope):
    """The durable operations over a recorded history; `DurableContext` says what each guarantees."""

    def step(self, func: Callable[[StepContext], T], name: str | None = None, config: StepConfig | None = None) -> T:
        """Run a function once and record its result."""
        _check("func", func, callable(func), "a function (StepContext)")
        _check("config", config, config is None or isinstance(config, StepConfig), "a StepConfig")
        state = self.begin("STEP", "Step", name or original_name(func))
        result: T = run_step(self, state, func, config)
        return result

    def transaction(
        self, func: Callable[[StepContext], T], name: str | None = None, config: TransactionConfig | None = None
    ) -> T:
        """Run a function in a transaction of the engine's database and commit its result with it."""
        _check("func", func, callable(func), "a function (StepContext)")
        _check("config", config, config is None or isinstance(config, TransactionConfig), "a TransactionConfig")
        state = self.begin("STEP", "Transaction", name or original_name(func))
        result: T = run_transaction(self, state, func, config)
        return result

    def wait(self, duration: Duration | timedelta, name: str | None = None) -> None:
        """Suspend the execution for a while."""
        seconds = seconds_of(duration, "duration", more_than_zero=True)
        run_wait(self, self.begin("WAIT", "Wait", name), seconds)

    def create_callback(
        self, name: str | None = None, config: CallbackConfig | None = None, *, key: str | None = None
    ) -> Callback:
        """Open a callback that somebody outside completes."""
        _check("config", config, config is None or isinstance(config, CallbackConfig), "a CallbackConfig")
        options = config or CallbackConfig()
        if key is not None:
            _check("key", key, options.key in (None, key), "that of config, or stand in one of the two places")
            options = replace(options, key=key)
        return open_callback(self, self.begin("CALLBACK", "Callback", name), options)

    def wait_for_callback(
        self,
        submitter: Callable[[str, WaitForCallbackContext], None],
        name: str | None = None,
        config: WaitForCallbackConfig | None = None,
    ) -> Any:
        """Open a callback, hand its id out by running `submitter` as a step, and return what the outside sent."""
        _check("submitter", submitter, callable(submitter), "a function (callback_id, WaitForCallbackContext)")
        _check("config", config, config is None or isinstance(config, WaitForCallbackConfig), "a WaitForCallbackConfig")
        return wait_for_callback(self, submitter, name, config)

    def wait_for_condition(
        self,
        check: Callable[[T, WaitForConditionCheckContext], T],
        config: WaitForConditionConfig[T],
        name: str | None = None,
    ) -> T:
        """Run a check again and again until its strategy is satisfied."""
        _check("check", check, callable(check), "a function (state, WaitForConditionCheckContext) -> state")
        _check("config", config, isinstance(config, WaitForConditionConfig), "a WaitForConditionConfig")
        met: T = run_condition(self, self.begin("STEP", "WaitForCondition", name), check, config)
        return met

    def invoke(
        self,
        function_name: str | DurableHandler,
        payload: Any = None,
        name: str | None = None,
        config: InvokeConfig[Any, Any] | None = None,
    ) -> Any:
        """Run another function as an execution of its own and return its result."""
        _check("config", config, config is None or isinstance(config, InvokeConfig), "an InvokeConfig")
        if isinstance(function_name, DurableHandler):
            reference = FunctionReference(function_name.name, function_name.version)
        else:
            reference = parse_function_name(function_name)
        return run_invoke(self, self.begin("CHAINED_INVOKE", "ChainedInvoke", name), reference, payload, config)

    def run_in_child_context(
        self, func: Callable[[DurableContext], T], name: str | None = None, config: ChildConfig[T] | None = None
    ) -> T:
        """Run a function with durable operations of its own and record its result."""
        _check("func", func, callable(func), "a function (DurableContext)")
        _check("config", config, config is None or isinstance(config, ChildConfig), "a ChildConfig")
        name, options = name or original_name(func), config or ChildConfig()
        if options.is_virtual:
            return run_virtual_child(self, self.begin_virtual(name), func, options)
        state = self.begin("CONTEXT", options.sub_type or "RunInChildContext", name)
        return run_child(self, state, func, options)

    def patched(self, change_id: str) -> bool:
        """Whether to take the new branch of changed code."""
        check_name(change_id, "change_id")
        self.check_usable(None)
        return run_patched(self, change_id)

    def continue_as_new(self, input: Any = None) -> NoReturn:
        """End this execution and start the next one in its place."""
        self.check_usable(None)
        continue_as_new(self, input)

    def saga(self, config: StepConfig | None = None) -> Saga:
        """Steps with what undoes them."""
        _check("config", config, config is None or isinstance(config, StepConfig), "a StepConfig")
        return Saga(self, config)

    def parallel(
        self,
        functions: Sequence[Callable[[DurableContext], T]],
        name: str | None = None,
        config: ParallelConfig | None = None,
    ) -> BatchResult[T]:
        """Run functions with durable operations of their own at the same time."""
        _check_sequence("functions", functions)
        for index, function in enumerate(functions):
            _check(f"functions[{index}]", function, callable(function), "a function (DurableContext)")
        _check("config", config, config is None or type(config) is ParallelConfig, "a ParallelConfig")
        result: BatchResult[T] = run_parallel(self, functions, name, config or ParallelConfig())
        return result

    def map(
        self,
        inputs: Sequence[U],
        func: Callable[[DurableContext, U, int, Sequence[U]], T],
        name: str | None = None,
        config: MapConfig | None = None,
    ) -> BatchResult[T]:
        """Run one function for each input, all at the same time."""
        _check_sequence("inputs", inputs)
        _check("func", func, callable(func), "a function (DurableContext, item, index, inputs)")
        _check("config", config, config is None or isinstance(config, MapConfig), "a MapConfig")
        result: BatchResult[T] = run_map(self, inputs, func, name or original_name(func), config or MapConfig())
        return result

    def tag(self, **tags: str | int | float | bool) -> None:
        """Set tags of the execution."""
        given: dict[str, object] = {**tags}
        for key, value in given.items():
            text = str(value)
            usable = isinstance(value, (str, int, float)) and max(len(key), len(text)) <= MAX_TAG
            _check(key, value, usable and text == storable(text), "a number, or text of at most 256 characters")
        self.invocation.tag({key: str(value) for key, value in tags.items()})

    def set_status_text(self, text: str) -> None:
        """Say in words how far the execution is."""
        _check("text", text, isinstance(text, str), "a string")
        text = storable(text)
        self.invocation.set_status_text(text if len(text) <= MAX_STATUS_TEXT else f"{text[: MAX_STATUS_TEXT - 1]}…")


def _check_sequence(argument: str, value: object) -> None:
    usable = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    _check(argument, value, usable, "a list or a tuple")


def _check(argument: str, value: object, usable: bool, wanted: str) -> None:
    if not usable:
        raise ValidationError(f"{argument} must be {wanted}, not {str(value)[:80]!r} ({type(value).__name__})")
