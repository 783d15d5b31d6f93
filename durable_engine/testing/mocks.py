"""Stand-ins for what a handler's operations would reach: bodies of steps, people behind callbacks, other functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from durable_engine.core.context import ReplayContext
from durable_engine.sdk.config import StepConfig
from durable_engine.sdk.context import original_name
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.types import StepContext

T = TypeVar("T")

SideEffect = Callable[..., Any] | Sequence[Any]


@dataclass
class Mock:
    """One stand-in. `calls` counts how often it was asked: once for each attempt of a step."""

    result: Any = None
    error: Exception | None = None
    side_effect: SideEffect | None = None
    calls: int = 0
    _outcomes: Iterator[Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.side_effect is not None and not callable(self.side_effect):
            self._outcomes = iter(self.side_effect)

    def answer(self, *arguments: Any) -> Any:
        """Return the result or raise the error; a list of side effects is used up one by one, then repeats its last."""
        self.calls += 1
        outcome = self._next(arguments)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _next(self, arguments: tuple[Any, ...]) -> Any:
        if callable(self.side_effect):
            return self.side_effect(*arguments)
        if self._outcomes is not None:
            self.result = next(self._outcomes, self.result)
            return self.result
        return self.result if self.error is None else self.error


class Mocks:
    """The stand-ins of one runner, by name."""

    def __init__(self) -> None:
        self.steps: dict[str, Mock] = {}
        self.callbacks: dict[str, Mock] = {}

    def context_type(self) -> type[ReplayContext]:
        """Return the context in which named steps run their stand-ins."""
        return type("MockedContext", (MockedContext,), {"mocks": self})

    def callback(self, name: str | None) -> Mock | None:
        """Return the stand-in that answers a callback, by its own name or by that of its `wait_for_callback`."""
        return None if name is None else self.callbacks.get(name.removesuffix(" create callback id"))


class MockedContext(ReplayContext):
    """A context that looks for a stand-in before it runs the body of a step. Names and records stay as they are."""

    mocks: Mocks

    def step(self, func: Callable[[StepContext], T], name: str | None = None, config: StepConfig | None = None) -> T:
        """Run the stand-in of that name, or the body."""
        label = name or original_name(func)
        mock = None if label is None else self.mocks.steps.get(label)
        result: T = super().step(func if mock is None else mock.answer, label, config)
        return result


def mocked_function(name: str, mock: Mock) -> DurableHandler:
    """Return a function that answers an invoke with a stand-in, which is given the payload."""
    return DurableHandler(name=name, version=1, func=lambda event, context: mock.answer(event))
