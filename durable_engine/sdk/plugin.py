"""Plugins: what is called as executions run, to trace and to count them. Nothing they do changes an execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.types import ErrorObject, InvocationStatus, OperationStatus, OperationType

__all__ = [
    "DurableInstrumentationPlugin",
    "DurableInstrumentationPluginFactory",
    "InvocationEndInfo",
    "InvocationInfo",
    "InvocationStartInfo",
    "InvocationStatus",
    "OperationChangeInfo",
    "OperationEndInfo",
    "OperationInfo",
    "OperationStartInfo",
    "UserFunctionEndInfo",
    "UserFunctionOutcome",
    "UserFunctionStartInfo",
]


@dataclass(frozen=True)
class OperationInfo:
    """One operation as it stands. `result` is its recorded text; `is_replayed`: an earlier invocation began it."""

    operation_id: str
    operation_type: OperationType
    sub_type: str | None
    name: str | None
    parent_id: str | None
    start_time: datetime | None
    is_replayed: bool
    status: OperationStatus
    end_time: datetime | None = field(default=None, kw_only=True)
    result: str | None = field(default=None, kw_only=True, repr=False)
    error: ErrorObject | None = field(default=None, kw_only=True)
    attempt: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class OperationStartInfo(OperationInfo):
    """An operation begins, or is met again by a later invocation before it has ended."""


@dataclass(frozen=True)
class OperationEndInfo(OperationInfo):
    """An operation has its outcome."""


@dataclass(frozen=True)
class OperationChangeInfo:
    """Operations that moved, and all there are, by id; `operations` is read only and shows them as they stand now."""

    execution_arn: str
    updated_operations: Mapping[str, OperationInfo]
    operations: Mapping[str, OperationInfo]


class UserFunctionOutcome(StrEnum):
    """How a function of the author's ended. INCOMPLETE: it was suspended, or left behind."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    INCOMPLETE = "INCOMPLETE"


@dataclass(frozen=True)
class UserFunctionStartInfo(OperationInfo):
    """The function of an operation is called. `is_replay_children`: only to compute its recorded result again."""

    is_replay_children: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class UserFunctionEndInfo(OperationInfo):
    """The function of an operation has ended."""

    is_replay_children: bool = field(default=False, kw_only=True)
    outcome: UserFunctionOutcome = field(default=UserFunctionOutcome.SUCCEEDED, kw_only=True)


@dataclass(frozen=True)
class InvocationInfo:
    """One pass of the handler. What it was given is not in its `repr`, so that a log line does not carry it.

    `trace_parent` is the span in which the execution was started, `invoker_trace` that of the execution that invoked
    it, if there was one; both as W3C Trace Context writes them.
    """

    request_id: str
    execution_arn: str
    is_first_invocation: bool
    execution_start_time: datetime | None = None
    execution_input: Any = field(default=None, kw_only=True, repr=False, compare=False)
    operations: Mapping[str, OperationInfo] = field(default_factory=dict, kw_only=True, repr=False, compare=False)
    trace_parent: str | None = field(default=None, kw_only=True)
    invoker_trace: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class InvocationStartInfo(InvocationInfo):
    """A pass begins; `updated_operations` are those that ended while the execution was suspended."""

    updated_operations: Mapping[str, OperationInfo] = field(
        default_factory=dict, kw_only=True, repr=False, compare=False
    )


@dataclass(frozen=True)
class InvocationEndInfo(InvocationInfo):
    """A pass has ended. PENDING: suspended, paused or handed over; RETRY: it failed, and another one follows."""

    status: InvocationStatus = field(default=InvocationStatus.PENDING, kw_only=True)
    error: ErrorObject | None = field(default=None, kw_only=True)
    execution_result: str | None = field(default=None, kw_only=True, repr=False, compare=False)


class DurableInstrumentationPlugin:
    """Base class of plugins: override what you need. Give instances to `@durable_execution(plugins=[…])`.

    Each method is called in the thread in which it happens, which waits for it. Branches call at the same time: guard
    what they share. What a method raises is logged, and neither the execution nor the other plugins notice.

    For one operation: `on_operation_start`, then for each attempt `on_user_function_start` and `on_user_function_end`,
    then `on_operation_end` once its outcome is durable. Each invocation announces an operation that has not ended once
    more, with `is_replayed`; one that has ended is not announced again. An invocation that is repeated after a crash
    announces what the one before it did not live to record.
    """

    def on_invocation_start(self, info: InvocationStartInfo) -> None:
        """A pass of the handler begins."""

    def on_invocation_end(self, info: InvocationEndInfo) -> None:
        """It has ended, and that is recorded."""

    def on_operation_start(self, info: OperationStartInfo) -> None:
        """An operation begins, or goes on in a later invocation."""

    def on_operation_end(self, info: OperationEndInfo) -> None:
        """An operation has its outcome, by its own function or from outside."""

    def on_operation_change(self, info: OperationChangeInfo) -> None:
        """Something was recorded about operations, here or from outside."""

    def on_user_function_start(self, info: UserFunctionStartInfo) -> None:
        """The body of a step, condition, child context or branch is about to be called, in this thread."""

    def on_user_function_end(self, info: UserFunctionEndInfo) -> None:
        """It has returned or raised."""


class DurableInstrumentationPluginFactory(Protocol):
    """Makes a plugin for each invocation, so that the plugin may keep what belongs to one in its attributes."""

    def create_plugin(self, info: InvocationStartInfo, /) -> DurableInstrumentationPlugin:
        """Return the plugin that is told of the invocation."""
        ...


def checked_plugins(plugins: Sequence[object] | None) -> tuple[object, ...]:
    """Return what was given as `plugins`.

    Raises:
        ValidationError: something in it is neither a plugin, nor a class of plugins, nor a factory.
    """
    if plugins is None:
        return ()
    if not isinstance(plugins, list | tuple):
        raise ValidationError(f"plugins: {plugins!r} must be a list of DurableInstrumentationPlugin")
    for plugin in plugins:
        is_class = isinstance(plugin, type) and issubclass(plugin, DurableInstrumentationPlugin)
        is_factory = callable(getattr(plugin, "create_plugin", None))
        if not (is_class or is_factory or isinstance(plugin, DurableInstrumentationPlugin)):
            raise ValidationError(
                f"plugins: {plugin!r} must be a DurableInstrumentationPlugin, a class of them, or have a "
                "create_plugin(info) method that returns one"
            )
    return tuple(plugins)
