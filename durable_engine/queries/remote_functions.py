"""Functions that run elsewhere, and where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from durable_engine.models import RemoteFunction
from durable_engine.queries.workers import live_workers
from durable_engine.sdk import registry
from durable_engine.sdk.remote import RemoteHandler


@dataclass(frozen=True, slots=True)
class RemoteView:
    """One version of a function. `is_stored`: people made it in Settings; the others come from the environment.

    Times are seconds; `live_workers` serve it.
    """

    name: str
    version: int
    url: str
    queue: str
    invocation_timeout_seconds: float
    execution_timeout_seconds: float | None
    is_stored: bool
    live_workers: int
    created_at: datetime | None = None
    created_by: str = ""


def remote_functions() -> list[RemoteView]:
    """Return all of them by name, the newest version first."""
    serving = [served for worker in live_workers() for served in worker.functions]
    stored = [_of_row(row, serving.count(str(row))) for row in RemoteFunction.objects.all()]
    given = [_of_handler(each, serving.count(each.key)) for each in registry.all_handlers() if _is_given(each)]
    return sorted([*stored, *given], key=lambda view: (view.name, -view.version))


def remote_function(name: str, version: int) -> RemoteView | None:
    """Return one that people made in Settings, or None."""
    row = RemoteFunction.objects.filter(name=name.replace("\x00", ""), version=version).first()
    return None if row is None else _of_row(row, 0)


def _is_given(handler: registry.DurableHandler) -> bool:
    return isinstance(handler, RemoteHandler) and not handler.is_stored


def _of_row(row: RemoteFunction, live_workers: int) -> RemoteView:
    return RemoteView(
        row.name,
        row.version,
        row.url,
        row.queue,
        row.invocation_timeout_seconds,
        row.execution_timeout_seconds,
        is_stored=True,
        live_workers=live_workers,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def _of_handler(handler: registry.DurableHandler, live_workers: int) -> RemoteView:
    timeout = handler.execution_timeout
    return RemoteView(
        handler.name,
        handler.version,
        getattr(handler, "url", ""),
        handler.queue,
        handler.invocation_timeout.to_seconds(),
        None if timeout is None else timeout.to_seconds(),
        is_stored=False,
        live_workers=live_workers,
    )
