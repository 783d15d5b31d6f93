"""Say where functions run that live elsewhere; and how workers learn of it, while they run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from durable_engine.models import Function, RemoteFunction
from durable_engine.queries.workers import live_workers
from durable_engine.sdk import registry
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.remote import RemoteHandler, register_remote
from durable_engine.services.actors import Actor
from durable_engine.services.audit import LABEL_LENGTH, record_audit
from durable_engine.services.exceptions import ActionRefused, DurableServiceError, InvalidInput
from durable_engine.services.functions import DEFAULT_QUEUE, MAX_VERSION, config_of
from durable_engine.services.validation import checked_reason
from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.remote_functions import StoredRemote, read_remote_functions

DEFAULT_INVOCATION_SECONDS: Final = 900.0
MAX_INVOCATION_SECONDS: Final = 86_400.0
MAX_EXECUTION_SECONDS: Final = 366 * 86_400.0

logger = logging.getLogger(__name__)


class RemoteFunctionNotFound(DurableServiceError):
    """Nobody has said where this version of this function runs."""

    status_code = 404

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"There is no remote function {name[:140]}:{version}.", field="name")


@transaction.atomic
def put_remote_function(
    name: str,
    url: str,
    *,
    actor: Actor,
    version: int = 1,
    queue: str = DEFAULT_QUEUE,
    invocation_timeout_seconds: float = DEFAULT_INVOCATION_SECONDS,
    execution_timeout_seconds: float | None = None,
    reason: str = "",
) -> RemoteFunction:
    """Say where a version of a function runs, or that it runs somewhere else now. Workers know within a heartbeat.

    Raises:
        InvalidInput: an argument can't be accepted; `field` says which.
        ActionRefused: a handler of the workers' own code, or of DURABLE_REMOTE_FUNCTIONS, has the name and version.
    """
    reason = checked_reason(reason)
    if not 1 <= version <= MAX_VERSION:
        raise InvalidInput("version", f"{version} is not a version.", "Give a whole number from 1.")
    _check_seconds("invocation_timeout_seconds", invocation_timeout_seconds, MAX_INVOCATION_SECONDS)
    if execution_timeout_seconds is not None:
        _check_seconds("execution_timeout_seconds", execution_timeout_seconds, MAX_EXECUTION_SECONDS)
    stored = StoredRemote(name, version, url, queue, invocation_timeout_seconds, execution_timeout_seconds)
    handler = _handler_of(stored)
    before = RemoteFunction.objects.select_for_update().filter(name=name, version=version).first()
    _refuse_if_served(handler, is_new=before is None)
    values: dict[str, Any] = {**stored._asdict(), "created_by": actor.label[:LABEL_LENGTH]}
    row, is_new = RemoteFunction.objects.update_or_create(name=name, version=version, defaults=values)
    # Known at once, so that it can be started before a worker has looked.
    about = {"description": handler.description, "config": config_of(handler), "fingerprint": ""}
    Function.objects.update_or_create(name=name, version=version, defaults=about)
    details = {"function": handler.key, "url": url, **({} if before is None else {"was": before.url})}
    record_audit(actor, f"{'create' if is_new else 'change'}_remote_function", reason=reason, details=details)
    return row


@transaction.atomic
def delete_remote_function(name: str, version: int, *, actor: Actor, reason: str = "") -> None:
    """Invoke the function there no longer. What runs ends; live executions wait until somebody serves it again.

    Raises:
        RemoteFunctionNotFound: there is none.
    """
    reason = checked_reason(reason)
    row = RemoteFunction.objects.select_for_update().filter(name=name.replace("\x00", ""), version=version).first()
    if row is None:
        raise RemoteFunctionNotFound(name, version)
    record_audit(actor, "delete_remote_function", reason=reason, details={"function": str(row), "url": row.url})
    row.delete()


def follow_remote_functions(connection: EngineConnection) -> bool:
    """Register in this process what the table has, and forget what it has no longer; returns whether that changed it.

    Handlers of code and of DURABLE_REMOTE_FUNCTIONS go first.
    """
    stored = {(row.name, row.version): row for row in read_remote_functions(connection)}
    known = {
        (handler.name, handler.version): handler
        for handler in registry.all_handlers()
        if isinstance(handler, RemoteHandler) and handler.is_stored
    }
    changed = False
    for key in known.keys() - stored.keys():
        registry.unregister(*key)
        changed = True
    for key, row in stored.items():
        changed = _register(row, known.get(key)) or changed
    return changed


def _register(row: StoredRemote, known: RemoteHandler | None) -> bool:
    if known is None and registry.get(row.name, row.version) is not None:
        return False
    try:
        wanted = _handler_of(row)
    except InvalidInput as problem:
        logger.warning("%s:%s is left out: %s", row.name, row.version, problem)
        return False
    if known is not None and _facts(known) == _facts(wanted):
        return False
    registry.register(wanted)
    return True


def _handler_of(row: StoredRemote) -> RemoteHandler:
    """The handler, not registered."""
    execution_timeout = row.execution_timeout_seconds
    try:
        with registry.unregistered():
            return register_remote(
                row.name,
                row.url,
                version=row.version,
                queue=row.queue,
                invocation_timeout=timedelta(seconds=row.invocation_timeout_seconds),
                execution_timeout=None if execution_timeout is None else timedelta(seconds=execution_timeout),
                is_stored=True,
            )
    except ValidationError as problem:
        field, _, rest = str(problem).partition(":")
        raise InvalidInput(field, f"{rest.strip()}.") from None


def _facts(handler: RemoteHandler) -> Mapping[str, Any]:
    return {**config_of(handler), "url": handler.url}


def _refuse_if_served(handler: RemoteHandler, *, is_new: bool) -> None:
    own = registry.get(handler.name, handler.version)
    is_code = own is not None and not (isinstance(own, RemoteHandler) and own.is_stored)
    if is_code or (is_new and any(handler.key in worker.functions for worker in live_workers())):
        raise ActionRefused(
            f"{handler.key} is served by workers already, by their own code or DURABLE_REMOTE_FUNCTIONS.",
            fix="Use another name or version.",
        )


def _check_seconds(field: str, seconds: float, most: float) -> None:
    if not 0 < seconds <= most:
        raise InvalidInput(field, f"{seconds:g} s is not between 0 and {most:,.0f} s.")
