"""Runs the invocations of a handler that lives elsewhere: sends each over HTTP, waits, and does what the answer says.

Meanwhile the handler records its checkpoints with the service API, under this process's lease. What may be written is
decided by the fence in its token, so a handler that is given up on, or whose worker dies, can write nothing more.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import select
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from durable_engine import dispatch
from durable_engine.core.errors import storable
from durable_engine.sdk.remote import RemoteHandler, is_link_local
from durable_engine.services.remote_invocations import (
    BadAnswer,
    RemoteCall,
    RemoteEnd,
    begin_remote_invocation,
    end_remote_invocation,
    put_off_remote_invocation,
)
from durable_engine.storage import leases
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.leases import Claim

CONNECT_SECONDS: Final = 5.0
# How often a waiting invocation looks whether it is still wanted.
GLANCE_SECONDS: Final = 0.25
# An execution whose handler can't be reached is tried again then; half of it is jitter.
UNREACHABLE_SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 16 * 1024 * 1024
# The other side says that it did not even look at the request.
NOT_LOOKED_AT: Final = frozenset({429, 503})
MOST_OF_A_MESSAGE: Final = 2_000

logger = logging.getLogger(__name__)


class Unreachable(Exception):
    """The handler's process was not there, or did not take the request: no invocation has begun."""


class InvocationFailed(Exception):
    """The invocation began and came to nothing. `error_type` is what the history says."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(storable(message)[:MOST_OF_A_MESSAGE])
        self.error_type = storable(error_type)


class _NotWanted(Exception):
    """The execution was taken away meanwhile."""


class RemoteInvocation:
    """The invocations of one claim."""

    def __init__(self, handler: RemoteHandler, claim: Claim) -> None:
        self._handler = handler
        self._claim = claim
        self._lost = False

    def lose(self) -> None:
        """Stop waiting: the execution is somebody else's."""
        self._lost = True

    def run(self, connections: ConnectionHolder) -> RemoteEnd:
        """Invoke the handler until it ends, suspends, fails, can't be reached, or the execution is no longer ours."""
        while True:
            call = begin_remote_invocation(self._claim)
            if call is None:
                return RemoteEnd("lost")
            try:
                end = self._invoke(call)
            except _NotWanted:
                return RemoteEnd("lost")
            except Unreachable as problem:
                return self._put_off(problem)
            except (InvocationFailed, BadAnswer) as problem:
                return self._fail(connections, problem)
            if end.ended != "goes on":
                return end

    def _invoke(self, call: RemoteCall) -> RemoteEnd:
        answer = self._answer_of(call.body, time.monotonic() + self._claim.invocation_seconds)
        return end_remote_invocation(self._claim, call.signal, answer)

    def _answer_of(self, body: bytes, deadline: float) -> Mapping[str, Any]:
        url = urlsplit(self._handler.url)
        connection = _connection(url)
        try:
            _send(connection, url, body, str(self._claim.invocation_id))
            self._wait(connection, deadline)
            return _read(connection, max(deadline - time.monotonic(), 1.0))
        finally:
            connection.close()

    def _wait(self, connection: http.client.HTTPConnection, deadline: float) -> None:
        while not select.select([connection.sock], [], [], GLANCE_SECONDS)[0]:
            if self._lost:
                raise _NotWanted
            if time.monotonic() > deadline:
                seconds = self._claim.invocation_seconds
                raise InvocationFailed("Sandbox.Timedout", f"No answer of {self._handler.url} within {seconds:g} s.")

    def _put_off(self, problem: Unreachable) -> RemoteEnd:
        seconds = UNREACHABLE_SECONDS * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        logger.warning("%s waits %.0f s for its handler: %s", self._claim.name, seconds, problem)
        put_off_remote_invocation(self._claim, seconds)
        return RemoteEnd("suspended", seconds)

    def _fail(self, connections: ConnectionHolder, problem: InvocationFailed | BadAnswer) -> RemoteEnd:
        error_type = problem.error_type if isinstance(problem, InvocationFailed) else "Runtime.InvalidAnswer"
        logger.warning("an invocation of %s %s failed: %s", self._claim.function, self._claim.name, problem)
        again = leases.fail_invocation(
            connections.get(),
            self._claim,
            f"{error_type}: {problem}",
            {"ErrorType": error_type, "ErrorMessage": str(problem)},
            max_crashes=settings.DURABLE_MAX_CRASHES,
            backoff_seconds=settings.DURABLE_CRASH_BACKOFF_SECONDS,
        )
        dispatch.publish(again)
        return RemoteEnd("failed")


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, url.port, timeout=CONNECT_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, url.port, timeout=CONNECT_SECONDS)
    try:
        connection.connect()
    except OSError as problem:
        raise Unreachable(f"{url.netloc} can't be reached: {problem}") from problem
    # Here too, because a name may lead there.
    if is_link_local(connection.sock.getpeername()[0]):
        connection.close()
        raise Unreachable(f"{url.netloc} is a link-local address")
    return connection


def _send(connection: http.client.HTTPConnection, url: SplitResult, body: bytes, request_id: str) -> None:
    headers = {
        "Content-Type": "application/json",
        "X-Amz-Invocation-Type": "RequestResponse",
        "x-amzn-RequestId": request_id,
    }
    try:
        connection.request("POST", url.path, body, headers)
    except (OSError, http.client.HTTPException) as problem:
        raise Unreachable(f"{url.netloc} did not take the request: {problem}") from problem


def _read(connection: http.client.HTTPConnection, seconds: float) -> Mapping[str, Any]:
    connection.sock.settimeout(seconds)
    try:
        response = connection.getresponse()
        text = response.read(LARGEST_ANSWER + 1)
    except (OSError, http.client.HTTPException) as problem:
        # The process died over the request, or was stopped: the invocation had begun.
        message = f"The connection ended without an answer: {type(problem).__name__}"
        raise InvocationFailed("Runtime.ExitError", message) from problem
    if response.status in NOT_LOOKED_AT:
        raise Unreachable(f"it answered {response.status}")
    if len(text) > LARGEST_ANSWER:
        raise InvocationFailed("Function.ResponseSizeTooLarge", f"The answer has more than {LARGEST_ANSWER:,} bytes.")
    return _parsed(text, response.status, is_error=response.headers.get("X-Amz-Function-Error") is not None)


def _parsed(text: bytes, status: int, *, is_error: bool) -> Mapping[str, Any]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if status != http.HTTPStatus.OK or is_error:
        fields = answer if isinstance(answer, dict) else {}
        message = fields.get("errorMessage") or fields.get("ErrorMessage") or f"It answered {status}."
        raise InvocationFailed(str(fields.get("errorType") or fields.get("ErrorType") or "Unhandled"), str(message))
    if not isinstance(answer, dict):
        raise InvocationFailed("Runtime.InvalidAnswer", "The answer is not a JSON object.")
    return answer
