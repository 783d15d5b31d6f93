"""What a worker process does with a hint: claim, run the invocation, and go on with whatever else is ready."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import close_old_connections, connections

from durable_engine import dispatch
from durable_engine.core.replay import InvocationResult, run_invocation
from durable_engine.queries.arns import execution_arn
from durable_engine.sdk import registry
from durable_engine.sdk.inputs import parse_input
from durable_engine.sdk.limits import ConcurrencyScope
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.remote import RemoteHandler
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.children import tell_parent
from durable_engine.storage import leases
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.leases import Claim, Served
from durable_engine.storage.limits import let_go
from durable_engine.storage.reads import read_event_times
from durable_engine.worker.handler_log import HandlerLog
from durable_engine.worker.heartbeat import Heartbeat
from durable_engine.worker.remote import RemoteInvocation

# A hop through the broker costs more than an invocation, so a warm process goes on; but it returns, so that the
# broker's own limits (tasks and memory of a process) are looked at.
LONGEST_ROUND_SECONDS = 10.0
MOST_INVOCATIONS = 500

logger = logging.getLogger(__name__)


class InvocationLoop:
    """Runs invocations in the process's main thread, one at a time. `stopping` may be set from anywhere.

    `tainted`: the body of a step that timed out, or of a branch that was left behind, still runs in this process, which
    should make room for a fresh one.
    """

    def __init__(self, heartbeat: Heartbeat, handler_log: HandlerLog | None = None) -> None:
        self.stopping = False
        self.tainted = False
        self._heartbeat = heartbeat
        self._handler_log = handler_log
        self._connections = ConnectionHolder()
        self._served: list[Served] = []

    def follow(self, hinted: UUID) -> None:
        """Run the execution that a hint names, if it is ready, then others for a while.

        Nothing is lost by returning early: what is not claimed stays PENDING. A hint is then left for another process.
        """
        # Anew each time: remote functions come and go while the process runs.
        self._served = [_served(handler) for handler in registry.all_handlers()]
        enough = time.monotonic() + LONGEST_ROUND_SECONDS
        claim = None if self._must_leave() else self._claim(hinted) or self._claim(None)
        invocations = 0
        while claim is not None:
            self._invoke(claim)
            invocations += 1
            if self._must_leave() or invocations == MOST_INVOCATIONS or time.monotonic() > enough:
                break
            claim = self._claim(None)
        else:
            if not self._must_leave():
                return  # nothing is ready
        dispatch.publish([hinted])

    def close(self) -> None:
        """Close the connection; nothing is followed afterwards."""
        self._connections.discard()

    def _must_leave(self) -> bool:
        return self.stopping or self.tainted

    def _claim(self, execution_id: UUID | None) -> Claim | None:
        for _ in range(2):  # the first connection may have died while the process was idle
            try:
                return self._heartbeat.claim(lambda worker_id: self._take(worker_id, execution_id))
            except (psycopg.OperationalError, psycopg.InterfaceError):
                self._connections.discard()
                # The claim may have been committed and only its reply lost.
                self._heartbeat.look_for_strays()
        return None

    def _take(self, worker_id: UUID, execution_id: UUID | None) -> Claim | None:
        return leases.claim(
            self._connections.get(),
            worker_id=worker_id,
            served=self._served,
            queues=settings.DURABLE_QUEUES,
            execution_id=execution_id,
            key_of=_key_of,
        )

    def _invoke(self, claim: Claim) -> None:
        handler = registry.get(claim.function, claim.version)
        if isinstance(handler, RemoteHandler):
            self._invoke_remote(handler, claim)
        else:
            self._invoke_here(handler, claim)

    def _invoke_remote(self, handler: RemoteHandler, claim: Claim) -> None:
        close_old_connections()
        invocation = RemoteInvocation(handler, claim)
        try:
            with self._heartbeat.running(claim, invocation, may_block=False):
                end = invocation.run(self._connections)
        except Exception as problem:
            logger.exception("the remote invocation of %s %s failed", claim.function, claim.name)
            self._connections.discard()
            self._heartbeat.start_anew(f"{type(problem).__name__}: {problem}")
        else:
            if end.ended == "suspended":
                dispatch.poke_scheduler(end.wake_in)
            elif end.ended == "lost":
                self._heartbeat.give_back(claim)

    def _invoke_here(self, handler: DurableHandler | None, claim: Claim) -> None:
        invocation = PostgresInvocation(
            self._connections,
            claim,
            callback_id=callback_id_for,
            should_release=lambda: self.stopping,
            hint=lambda ready, queue: dispatch.publish(ready, queue=queue, wait=False),
        )
        close_old_connections()  # Django's, which step bodies use
        try:
            with self._heartbeat.running(claim, invocation):
                if handler is None:
                    raise LookupError(f"{claim.function}:{claim.version} is not registered in this process")
                arn = execution_arn(claim.function, claim.name, claim.execution_id)
                result = run_invocation(
                    handler,
                    invocation,
                    clock=time.monotonic,
                    random=random.random,
                    arn=arn,
                    on_thread_end=self._on_thread_end,
                    event_times=partial(self._event_times, claim),
                )
        except Exception as problem:
            # An error of the engine, not of the handler. Counted like a death of the process: at the worst the
            # execution is paused with this reason, never lost and never run in a circle.
            logger.exception("the invocation of %s %s failed", claim.function, claim.name)
            self._connections.discard()
            self._heartbeat.start_anew(f"{type(problem).__name__}: {problem}")
        else:
            self._after(claim, invocation, result)
        if self._handler_log is not None:
            self._handler_log.end_of_invocation()
        self._let_go(claim)

    def _on_thread_end(self) -> None:
        connections.close_all()  # Django's, which bodies opened in that thread
        if self._handler_log is not None:
            self._handler_log.end_of_thread()

    def _event_times(self, claim: Claim) -> Mapping[int, datetime]:
        """For plugins, which must not break an execution: nothing when they can't be read."""
        try:
            return read_event_times(self._connections.get(), claim)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            return {}

    def _after(self, claim: Claim, invocation: PostgresInvocation, result: InvocationResult) -> None:
        self.tainted = self.tainted or result.tainted
        if result.ended == "closed":
            if invocation.has_parent:
                self._tell_parent(claim)
        elif result.ended == "suspended":
            dispatch.poke_scheduler(invocation.wake_in)
        elif result.ended == "released":
            dispatch.publish([claim.execution_id])
        elif result.ended == "lost":
            # Lost to somebody else, then this does nothing; or to an outage of Postgres, then nobody else has it.
            self._heartbeat.give_back(claim)

    def _let_go(self, claim: Claim) -> None:
        """Let somebody else have the place that this invocation had, if it has given it up."""
        if claim.limit is None:
            return
        try:
            dispatch.publish(let_go(self._connections.get(), claim.limit.key, claim.limit.places))
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self._connections.discard()  # the scheduler's sweep does it

    def _tell_parent(self, claim: Claim) -> None:
        try:
            tell_parent(self._connections.get(), claim.execution_id)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self._connections.discard()  # the scheduler's sweep tells it


def _served(handler: DurableHandler) -> Served:
    limit = handler.limit
    return Served(
        handler.name,
        handler.version,
        handler.invocation_timeout.to_seconds(),
        None if limit is None else limit.count,
        limit is not None and limit.scope is ConcurrencyScope.EXECUTION,
    )


def _key_of(function: str, version: int, text: str | None) -> str:
    handler = registry.get(function, version)
    if handler is None or handler.limit is None:
        return function
    return handler.limit.key_of(function, text, partial(parse_input, handler.input))
