"""What a worker process does with a hint: claim, run the invocation, and go on with whatever else is ready."""

from __future__ import annotations

import logging
import random
import time
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import close_old_connections

from durable_engine import dispatch
from durable_engine.core.replay import InvocationResult, run_invocation
from durable_engine.sdk import registry
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.storage import leases
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.leases import Claim, Served
from durable_engine.worker.heartbeat import Heartbeat

# A hop through the broker costs more than an invocation, so a warm process goes on; but it returns, so that the
# broker's own limits (tasks and memory of a process) are looked at.
LONGEST_ROUND_SECONDS = 10.0
MOST_INVOCATIONS = 500

logger = logging.getLogger(__name__)


class InvocationLoop:
    """Runs invocations in the process's main thread, one at a time. `stopping` may be set from anywhere.

    `tainted`: an abandoned step body still runs in this process, which should make room for a fresh one.
    """

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.stopping = False
        self.tainted = False
        self._heartbeat = heartbeat
        self._connections = ConnectionHolder()
        self._served = [
            Served(handler.name, handler.version, handler.invocation_timeout.to_seconds())
            for handler in registry.all_handlers()
        ]

    def follow(self, hinted: UUID) -> None:
        """Run the execution that a hint names, if it is ready, then others for a while.

        Nothing is lost by returning early: what is not claimed stays PENDING. A hint is then left for another process.
        """
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
        )

    def _invoke(self, claim: Claim) -> None:
        handler = registry.get(claim.function, claim.version)
        invocation = PostgresInvocation(
            self._connections, claim, callback_id=callback_id_for, should_release=lambda: self.stopping
        )
        close_old_connections()  # Django's, which step bodies use
        try:
            with self._heartbeat.running(claim, invocation):
                if handler is None:
                    raise LookupError(f"{claim.function}:{claim.version} is not registered in this process")
                result = run_invocation(handler, invocation, clock=time.monotonic, random=random.random)
        except Exception as problem:
            # An error of the engine, not of the handler. Counted like a death of the process: at the worst the
            # execution is paused with this reason, never lost and never run in a circle.
            logger.exception("the invocation of %s %s failed", claim.function, claim.name)
            self._connections.discard()
            self._heartbeat.start_anew(f"{type(problem).__name__}: {problem}")
        else:
            self._after(claim, invocation, result)

    def _after(self, claim: Claim, invocation: PostgresInvocation, result: InvocationResult) -> None:
        self.tainted = self.tainted or result.tainted
        if result.ended == "suspended":
            dispatch.poke_scheduler(invocation.wake_in)
        elif result.ended == "released":
            dispatch.publish([claim.execution_id])
        elif result.ended == "lost":
            # Lost to somebody else, then this does nothing; or to an outage of Postgres, then nobody else has it.
            self._heartbeat.give_back(claim)
