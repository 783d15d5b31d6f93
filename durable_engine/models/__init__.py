"""The tables of the engine, one a file. Rows change only through `storage` and `services`."""

from durable_engine.models.api_key import ApiKey
from durable_engine.models.audit_entry import AuditEntry
from durable_engine.models.bulk_action import BulkAction, BulkStatus
from durable_engine.models.bulk_item import BulkItem, BulkItemStatus
from durable_engine.models.callback import Callback, CallbackStatus, callback_uuid
from durable_engine.models.event import Event
from durable_engine.models.execution import Execution, ExecutionStatus, OriginKind
from durable_engine.models.failure import Failure
from durable_engine.models.failure_count import FailureCount
from durable_engine.models.failure_group import FailureGroup, FailureGroupStatus, FailureKind
from durable_engine.models.feed import Feed
from durable_engine.models.function import Function
from durable_engine.models.function_pause import FunctionPause
from durable_engine.models.log_record import LogRecord
from durable_engine.models.outbox import OutboxMessage, OutboxStatus
from durable_engine.models.remote_function import RemoteFunction
from durable_engine.models.rollup import Rollup
from durable_engine.models.saved_view import SavedView
from durable_engine.models.schedule import CatchUpPolicy, OverlapPolicy, Schedule
from durable_engine.models.schedule_run import RunOutcome, ScheduleRun
from durable_engine.models.scheduler_process import SchedulerProcess
from durable_engine.models.slot import Slot
from durable_engine.models.timer import Timer, TimerKind
from durable_engine.models.worker import Worker

__all__ = [
    "ApiKey",
    "AuditEntry",
    "BulkAction",
    "BulkItem",
    "BulkItemStatus",
    "BulkStatus",
    "Callback",
    "CallbackStatus",
    "CatchUpPolicy",
    "Event",
    "Execution",
    "ExecutionStatus",
    "Failure",
    "FailureCount",
    "FailureGroup",
    "FailureGroupStatus",
    "FailureKind",
    "Feed",
    "Function",
    "FunctionPause",
    "LogRecord",
    "OriginKind",
    "OutboxMessage",
    "OutboxStatus",
    "OverlapPolicy",
    "RemoteFunction",
    "Rollup",
    "RunOutcome",
    "SavedView",
    "Schedule",
    "ScheduleRun",
    "SchedulerProcess",
    "Slot",
    "Timer",
    "TimerKind",
    "Worker",
    "callback_uuid",
]
