"""Celery's entry points. A message names an execution that may be ready; everything else is read from Postgres."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task

from durable_engine import dispatch
from durable_engine.worker import hooks

logger = logging.getLogger(__name__)


@shared_task(name=dispatch.TASK, ignore_result=True)
def run_execution(execution_id: str) -> None:
    """Claim and run the execution if it is ready, then others that are."""
    try:
        hinted = UUID(execution_id)
    except (ValueError, TypeError, AttributeError):
        logger.warning("a hint that names no execution was dropped")
        return
    hooks.follow(hinted)
