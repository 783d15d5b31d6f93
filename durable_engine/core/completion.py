"""When a batch is complete, by the criteria of its config. Pure: counts in, reason out."""

from __future__ import annotations

from durable_engine.sdk.concurrency import (
    CompletionDecision,
    CompletionOutcome,
    CompletionReason,
    CompletionStatus,
)
from durable_engine.sdk.config import CompletionConfig
from durable_engine.sdk.exceptions import ValidationError


def reason_to_complete(config: CompletionConfig, succeeded: int, failed: int, total: int) -> CompletionReason | None:
    """Return why a batch is complete, too many failures first; None while it goes on."""
    if _is_tolerance_exceeded(config, failed, total):
        return CompletionReason.FAILURE_TOLERANCE_EXCEEDED
    if succeeded + failed >= total:
        return CompletionReason.ALL_COMPLETED
    if config.min_successful is not None and succeeded >= config.min_successful:
        return CompletionReason.MIN_SUCCESSFUL_REACHED
    return None


def custom_reason(config: CompletionConfig, status: CompletionStatus) -> CompletionReason | None:
    """Return why `should_complete` ends a batch; one whose branches have all ended is complete whatever it says.

    Raises:
        ValidationError: it answered something else than a decision.
        Exception: what it raised.
    """
    if config.should_complete is None:
        return None
    decision: object = config.should_complete(status)
    if not isinstance(decision, CompletionDecision):
        raise ValidationError(
            "CompletionConfig.should_complete must return complete_batch() or continue_batch(), "
            f"not {str(decision)[:80]!r}"
        )
    if decision.complete:
        if decision.outcome is CompletionOutcome.FAILED:
            return CompletionReason.CUSTOM_COMPLETION_FAILED
        return CompletionReason.CUSTOM_COMPLETION_SUCCEEDED
    return CompletionReason.ALL_COMPLETED if status.completed_count >= status.total_count else None


def _is_tolerance_exceeded(config: CompletionConfig, failed: int, total: int) -> bool:
    count, percentage = config.tolerated_failure_count, config.tolerated_failure_percentage
    if count is None and percentage is None:
        return config.min_successful is None and failed > 0
    if count is not None and failed > count:
        return True
    return percentage is not None and total > 0 and failed * 100 > percentage * total
