"""Pause and resume in memory, by the rules of `durable_engine.storage.pauses`."""

from __future__ import annotations

from durable_engine.testing.memory_execution import MemoryExecution, NotPossible


def pause(execution: MemoryExecution, reason: str = "") -> None:
    """Let it do nothing until it is resumed; a running invocation is cut off, and that is no crash.

    Raises:
        NotPossible: it is closed or paused already.
    """
    with execution.lock:
        if execution.is_closed or execution.status == "PAUSED":
            raise NotPossible(f"the execution is {execution.status}")
        if execution.status == "RUNNING":
            execution.complete_invocation()
        execution.fence += 1
        execution.pause("operator", reason)


def resume(execution: MemoryExecution) -> None:
    """Let a paused execution go on, whoever or whatever paused it; its timeout moves by the time it was paused.

    Raises:
        NotPossible: it is not paused.
    """
    with execution.lock:
        if execution.status != "PAUSED":
            raise NotPossible(f"the execution is {execution.status}")
        if execution.expires_at is not None and execution.paused_at is not None:
            execution.expires_at += execution.clock() - execution.paused_at
        execution.paused_at = None
        execution.status, execution.pause_kind, execution.pause_reason, execution.crash_count = "PENDING", "", "", 0
