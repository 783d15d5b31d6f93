"""Workers that fell silent, or stopped while they held executions, are declared lost; what they ran goes to others."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from durable_engine import dispatch
from durable_engine.models import Worker
from durable_engine.scheduler.each import for_each
from durable_engine.scheduler.sweep import BATCH, Round, repeat
from durable_engine.storage import leases


def sweep(this: Round) -> None:
    """Recover what lost workers ran, unless Postgres was away so recently that everybody looks lost."""
    lease = float(settings.DURABLE_LEASE_SECONDS)

    def recover(worker_id: UUID) -> bool:
        recovered = leases.recover_worker(
            this.connection,
            worker_id,
            _known_reason(worker_id) or f"worker not heard of for {lease:g} s",
            max_crashes=settings.DURABLE_MAX_CRASHES,
            backoff_seconds=settings.DURABLE_CRASH_BACKOFF_SECONDS,
        )
        dispatch.publish(recovered)
        return True

    if this.grace.is_over(this.connection):
        repeat(lambda: for_each("worker", leases.lost_workers(this.connection, lease, BATCH), recover))
        repeat(lambda: for_each("worker", leases.silent_workers(this.connection, lease, BATCH), recover))


def _known_reason(worker_id: UUID) -> str | None:
    """What the worker's parent recorded, when it is about to do the rest itself."""
    return Worker.objects.filter(pk=worker_id).values_list("exit_reason", flat=True).first()
