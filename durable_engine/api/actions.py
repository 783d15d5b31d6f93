"""What every action of the API has in common: who calls, may they, how much may they send, and what is logged.

An action declares its scope, so the middleware that refuses undeclared views lets it through, and no page's login or
CSRF token is asked for: a signed request is no form that a browser could be made to send.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Protocol
from uuid import UUID

from django.core.exceptions import RequestDataTooBig
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.request import QueryDict, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from uuid_utils.compat import uuid7

from durable_engine.api.callers import Caller, identify
from durable_engine.api.documented import Documented
from durable_engine.api.errors import ApiError, error_of, too_large
from durable_engine.api.rates import check_rate
from durable_engine.api.responses import error_response
from durable_engine.models.visible import looking
from durable_engine.narrowing import viewer_with_id
from durable_engine.services.exceptions import DurableServiceError

REQUEST_ID: Final = "x-amzn-RequestId"
KIB: Final = 1024
MIB: Final = 1024 * KIB
DEFAULT_LIMIT: Final = 1 * MIB
MOST_DISCARDED: Final = 32 * MIB

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Call:
    """One call: the request, its body, and who makes it. `about` is what the log says it was about."""

    request: HttpRequest
    request_id: UUID
    body: bytes
    caller: Caller
    about: str = "-"

    @property
    def query(self) -> QueryDict:
        """The parameters of the query."""
        return self.request.GET


class Action(Protocol):
    """An action as the URLs see it. Only those that are not AWS's have `documented`."""

    required_scope: str
    operation: str
    documented: Documented

    def __call__(self, request: HttpRequest, **names: Any) -> HttpResponse:
        """Answer a request."""
        ...


def api_action(
    operation: str, *, scope: str, limit: int = DEFAULT_LIMIT
) -> Callable[[Callable[..., HttpResponse]], Action]:
    """Make an action of a function `(call, **names in the path)`.

    `operation` is its name in AWS's model, `scope` the right a key needs, `limit` the most bytes its body may have.
    What it raises becomes an error that clients know. The function itself has to check that the key is for the
    durable function it touches.
    """

    def declare(function: Callable[..., HttpResponse]) -> Action:
        @csrf_exempt
        @wraps(function)
        def answer(request: HttpRequest, **names: Any) -> HttpResponse:
            began, request_id = time.monotonic(), uuid7()
            call: Call | None = None
            try:
                body = _body_of(request, limit)
                call = Call(request, request_id, body, identify(request, body))
                check_rate(call.caller)
                call.caller.check_scope(scope, operation)
                with looking(viewer_with_id(call.caller.user_id)):
                    response = function(call, **names)
            except Exception as problem:  # noqa: BLE001 - whatever it is, a client is told in its own terms
                response = error_response(_error_of(problem, operation, request_id))
            return _finished(response, operation, request_id, call, time.monotonic() - began)

        answer.required_scope = scope  # type: ignore[attr-defined]
        answer.operation = operation  # type: ignore[attr-defined]
        return answer  # type: ignore[return-value]

    return declare


def by_method(**actions: Action) -> Action:
    """Make one view of the actions that share a path."""
    allowed = ", ".join(sorted(actions))

    @csrf_exempt
    def answer(request: HttpRequest, **names: Any) -> HttpResponse:
        action = actions.get(str(request.method))
        if action is not None:
            return action(request, **names)
        error = ApiError("MethodNotAllowedException", 405, f"Only {allowed} here.")
        return _finished(error_response(error), "-", uuid7(), None, 0.0)

    answer.required_scope = " ".join(action.required_scope for action in actions.values())  # type: ignore[attr-defined]
    answer.actions = actions  # type: ignore[attr-defined]
    return answer  # type: ignore[return-value]


def unknown_path(request: HttpRequest, **names: Any) -> HttpResponse:
    """Answer in the API's own form what is none of its paths."""
    error = ApiError("UnknownOperationException", 404, "The service API has no such operation.")
    return _finished(error_response(error), "-", uuid7(), None, 0.0)


unknown_path.required_scope = ""  # type: ignore[attr-defined]


def _body_of(request: HttpRequest, limit: int) -> bytes:
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        # WSGI promises its length only for one of the two, and the signature covers what we would not have read.
        raise ApiError("LengthRequiredException", 411, "Send the body with its Content-Length, not in chunks.")
    length = request.headers.get("Content-Length") or "0"
    if not length.isdigit():
        raise ApiError("InvalidRequestContentException", 400, "Content-Length is not a number.")
    if int(length) > limit:
        _discard(request)
        raise too_large(limit)
    try:
        return request.body
    except RequestDataTooBig:
        raise too_large(limit) from None
    except UnreadablePostError:
        raise ApiError("InvalidRequestContentException", 400, "The body ended before its Content-Length.") from None


def _discard(request: HttpRequest) -> None:
    """Let the client finish sending: one whose connection breaks under its hands does not read why."""
    left = MOST_DISCARDED
    with suppress(OSError):
        while left > 0 and (chunk := request.read(64 * KIB)):
            left -= len(chunk)


def _error_of(problem: Exception, operation: str, request_id: UUID) -> ApiError:
    if isinstance(problem, ApiError):
        return problem
    if isinstance(problem, DurableServiceError):
        return error_of(problem)
    log.error("%s %s failed", request_id, operation, exc_info=problem)
    if isinstance(problem, DatabaseError):
        return ApiError("ServiceException", 503, "The database can't be used now. Try again.", retry_after=1)
    return ApiError("ServiceException", 500, f"An error of ours; the log has it under {request_id}.")


def _finished(
    response: HttpResponse, operation: str, request_id: UUID, call: Call | None, seconds: float
) -> HttpResponse:
    response[REQUEST_ID] = str(request_id)
    response["Cache-Control"] = "no-store"
    outcome = response.headers.get("x-amzn-ErrorType", response.status_code)
    caller, about = ("-", "-") if call is None else (call.caller.name, call.about)
    log.info("%s %s %s %s %s %.1f ms", request_id, operation, caller, about, outcome, seconds * 1000)
    # Django would log refusals with the path, which may hold a callback id.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
