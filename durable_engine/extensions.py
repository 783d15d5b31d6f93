"""What installed apps plug into the engine: sweeps of the scheduler, and hooks on what has closed.

Register in `AppConfig.ready()`. The engine never imports the apps; they find each other here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Sweep:
    """A bounded job of the scheduler. `function` returns how much it did, so a full batch is followed by another."""

    name: str
    function: Callable[[], int]
    every_seconds: float


@dataclass(frozen=True, slots=True)
class ClosedCallback:
    """A callback that has its outcome: `status` SUCCEEDED, FAILED, TIMED_OUT or CANCELLED."""

    execution_id: UUID
    operation_id: str
    status: str


@dataclass(frozen=True, slots=True)
class ClosedExecution:
    """An execution that has ended: `status` SUCCEEDED, FAILED, TIMED_OUT or STOPPED."""

    execution_id: UUID
    function: str
    status: str


CallbackHook = TypeVar("CallbackHook", bound=Callable[[ClosedCallback], None])
ExecutionHook = TypeVar("ExecutionHook", bound=Callable[[ClosedExecution], None])

_sweeps: dict[str, Sweep] = {}
_callback_hooks: list[Callable[[ClosedCallback], None]] = []
_execution_hooks: list[Callable[[ClosedExecution], None]] = []


def register_sweep(name: str, function: Callable[[], int], every_seconds: float) -> None:
    """Have the scheduler call `function` every so often; a later registration of the same name replaces it.

    Raises:
        ValueError: `every_seconds` is not more than 0.
    """
    if not every_seconds > 0:
        raise ValueError(f"every_seconds of the sweep {name!r} must be more than 0, not {every_seconds}")
    _sweeps[name] = Sweep(name, function, every_seconds)


def sweeps() -> list[Sweep]:
    """Return the registered sweeps, by name."""
    return [_sweeps[name] for name in sorted(_sweeps)]


def on_callback_closed(func: CallbackHook) -> CallbackHook:
    """Call `func` in the transaction that closes a callback: what it writes commits with the outcome, or not at all."""
    if func not in _callback_hooks:
        _callback_hooks.append(func)
    return func


def on_execution_closed(func: ExecutionHook) -> ExecutionHook:
    """Call `func` in the transaction that closes an execution: what it writes commits with the end, or not at all."""
    if func not in _execution_hooks:
        _execution_hooks.append(func)
    return func


def callback_closed(closed: ClosedCallback) -> None:
    """Run the hooks; called by the engine inside the closing transaction."""
    for hook in _callback_hooks:
        hook(closed)


def execution_closed(closed: ClosedExecution) -> None:
    """Run the hooks; called by the engine inside the closing transaction."""
    for hook in _execution_hooks:
        hook(closed)
