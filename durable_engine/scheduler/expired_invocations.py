"""Invocations past their time limit lose their execution; their process ends itself when it notices."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from durable_engine import dispatch
from durable_engine.scheduler.each import for_each
from durable_engine.scheduler.sweep import BATCH, Round, repeat
from durable_engine.storage import leases


def sweep(this: Round) -> None:
    """Take executions away from invocations that are late."""

    def recover(execution_id: UUID) -> bool:
        recovered = leases.recover_invocation(
            this.connection,
            execution_id,
            max_crashes=settings.DURABLE_MAX_CRASHES,
            backoff_seconds=settings.DURABLE_CRASH_BACKOFF_SECONDS,
        )
        dispatch.publish(recovered)
        return bool(recovered)

    repeat(lambda: for_each("invocation", leases.expired_invocations(this.connection, BATCH), recover))
