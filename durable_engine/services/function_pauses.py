"""Pause a function, and let it go on. One transaction each, audited."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from durable_engine import dispatch
from durable_engine.models import Execution, ExecutionStatus, Function, FunctionPause
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.exceptions import ActionRefused, FunctionNotFound
from durable_engine.services.functions import function_names
from durable_engine.services.validation import checked_reason
from durable_engine.storage.clock import ClockTimestamp

# A worker that follows a hint goes on with whatever else is ready.
HINTS: Final = 20


@transaction.atomic
def pause_function(function: str, *, actor: Actor, reason: str = "", refuse_starts: bool = False) -> None:
    """Let no execution of a function be claimed, in any version, until it is resumed.

    An invocation that runs goes on to its next wait or its end. Executions that become ready wait as PENDING. New ones
    wait too, or with `refuse_starts` are refused with the reason. Their execution timeouts run on.

    Raises:
        FunctionNotFound: no worker ever served it.
        ActionRefused: it is paused already.
        InvalidInput: the reason can't be accepted.
    """
    reason = checked_reason(reason)
    if "\x00" in function or not Function.objects.filter(name=function).exists():
        raise FunctionNotFound(function, function_names())
    facts = {"paused_by": actor.label[:256], "reason": reason, "refuses_starts": refuse_starts}
    pause, is_new = FunctionPause.objects.get_or_create(function=function, defaults=facts)
    if not is_new:
        message = f"The function is paused already, by {pause.paused_by}."
        raise ActionRefused(message)
    details = {"function": function, "refuse_starts": refuse_starts}
    record_audit(actor, "pause_function", reason=reason, details=details)


@transaction.atomic
def resume_function(function: str, *, actor: Actor, reason: str = "") -> None:
    """Let a paused function go on: what is ready is claimed at once.

    Raises:
        ActionRefused: it isn't paused.
        InvalidInput: the reason can't be accepted.
    """
    reason = checked_reason(reason)
    deleted, _ = FunctionPause.objects.filter(function=function.replace("\x00", "")).delete()
    if not deleted:
        raise ActionRefused("The function isn't paused.")
    record_audit(actor, "resume_function", reason=reason, details={"function": function})
    ready = Execution.objects.filter(
        status=ExecutionStatus.PENDING, function=function, ready_at__lte=ClockTimestamp()
    ).order_by()
    dispatch.publish_on_commit(list(ready.values_list("id", flat=True)[:HINTS]))
