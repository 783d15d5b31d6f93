"""`ReplayContext`, the context handlers are given: each method finds its place in the history and hands over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from durable_engine.core.errors import storable
from durable_engine.core.operations.base import Scope
from durable_engine.core.operations.callback import open_callback
from durable_engine.core.operations.child import run_child, run_virtual_child
from durable_engine.core.operations.step import run_step
from durable_engine.core.operations.wait import run_wait
from durable_engine.sdk.callbacks import wait_for_callback
from durable_engine.sdk.config import CallbackConfig, ChildConfig, StepConfig, WaitForCallbackConfig
from durable_engine.sdk.context import Callback, DurableContext, original_name
from durable_engine.sdk.durations import Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.types import StepContext, WaitForCallbackContext

T = TypeVar("T")

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

    def wait(self, duration: Duration | timedelta, name: str | None = None) -> None:
        """Suspend the execution for a while."""
        seconds = seconds_of(duration, "duration", more_than_zero=True)
        run_wait(self, self.begin("WAIT", "Wait", name), seconds)

    def create_callback(self, name: str | None = None, config: CallbackConfig | None = None) -> Callback:
        """Open a callback that somebody outside completes."""
        _check("config", config, config is None or isinstance(config, CallbackConfig), "a CallbackConfig")
        return open_callback(self, self.begin("CALLBACK", "Callback", name), config)

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

    def run_in_child_context(
        self, func: Callable[[DurableContext], T], name: str | None = None, config: ChildConfig[T] | None = None
    ) -> T:
        """Run a function with durable operations of its own and record its result."""
        _check("func", func, callable(func), "a function (DurableContext)")
        _check("config", config, config is None or isinstance(config, ChildConfig), "a ChildConfig")
        name, options = name or original_name(func), config or ChildConfig()
        if options.is_virtual:
            return run_virtual_child(self, self.begin_virtual(name), func)
        state = self.begin("CONTEXT", options.sub_type or "RunInChildContext", name)
        return run_child(self, state, func, options)

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


def _check(argument: str, value: object, usable: bool, wanted: str) -> None:
    if not usable:
        raise ValidationError(f"{argument} must be {wanted}, not {str(value)[:80]!r} ({type(value).__name__})")
