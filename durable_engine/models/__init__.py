"""The tables of the engine, one a file. Rows change only through `storage` and `services`."""

from durable_engine.models.audit_entry import AuditEntry
from durable_engine.models.callback import Callback, CallbackStatus, callback_uuid
from durable_engine.models.event import Event
from durable_engine.models.execution import Execution, ExecutionStatus
from durable_engine.models.function import Function
from durable_engine.models.timer import Timer, TimerKind
from durable_engine.models.worker import Worker

__all__ = [
    "AuditEntry",
    "Callback",
    "CallbackStatus",
    "Event",
    "Execution",
    "ExecutionStatus",
    "Function",
    "Timer",
    "TimerKind",
    "Worker",
    "callback_uuid",
]
