"""Clients in threads: they start, complete and stop, and write down what they were told.

An outcome is ok, fail (refused: nothing changed) or info (the connection broke: nobody knows), as Jepsen has it.
"""

from __future__ import annotations

import heapq
import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import django.db
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from durable_engine.services.actors import Actor
from durable_engine.services.callbacks import complete_callback_of
from durable_engine.services.exceptions import (
    CallbackClosed,
    DurableServiceError,
    ExecutionAlreadyStarted,
)
from durable_engine.services.executions import stop_execution
from durable_engine.services.starts import start_execution
from tests.chaos.world import Request

CHAOS = Actor("chaos")
PASSWORD = "chaos-only-password"
UUID_IN_PATH = re.compile(r"/executions/([0-9a-f-]{36})/")


class Journal:
    """What the clients were told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: list[Request] = []

    def add(self, request: Request) -> Request:
        """Write one down."""
        with self._lock:
            self.requests.append(request)
        return request

    def count(self, kind: str, outcome: str = "") -> int:
        """How many requests of a kind had an outcome, or any."""
        with self._lock:
            return sum(each.kind == kind and outcome in ("", each.outcome) for each in self.requests)


def attempt(journal: Journal, kind: str, key: str, call: Callable[[], str], **facts: str) -> Request:
    """Make one request and write down what came of it; `call` returns the id of the execution."""
    began = time.time()
    outcome, execution_id, problem, answer = "ok", facts.pop("execution_id", ""), "", facts.pop("answer", "")
    try:
        execution_id = call() or execution_id
    except CallbackClosed as refused:
        outcome, problem, answer = "fail", str(refused), refused.status
    except DurableServiceError as refused:
        outcome, answer, problem = "fail", "", f"{type(refused).__name__}: {refused}"
    except (django.db.Error, OSError, http.client.HTTPException) as broken:
        outcome, problem = "info", f"{type(broken).__name__}: {broken}"
        connection.close()
    return journal.add(
        Request(
            kind, key, outcome, began, time.time(), execution_id=execution_id, answer=answer, problem=problem, **facts
        )
    )


class Starter:
    """Starts executions by name until the start is acknowledged, in this process or through the web server."""

    def __init__(self, journal: Journal, web: WebClient | None) -> None:
        self._journal = journal
        self._web = web

    def start(self, function: str, name: str, program: Mapping[str, Any], *, by_web: bool = False) -> str:
        """Start, again until it is acknowledged; return the id of the execution."""
        text = json.dumps(program)
        while True:
            request = self.try_start(function, name, text, by_web=by_web)
            if request.outcome == "ok":
                return request.execution_id
            if request.outcome == "fail":
                raise AssertionError(f"the start of {name} was refused: {request.problem}")
            time.sleep(0.1)

    def try_start(self, function: str, name: str, text: str, *, by_web: bool = False) -> Request:
        """Start once."""
        web = self._web if by_web else None

        def call() -> str:
            if web is not None:
                return web.start(function, name, text)
            return str(start_execution(function, text, actor=CHAOS, name=name).id)

        return attempt(self._journal, "start", name, call, input=text)


class WebClient:
    """A browser without a screen: logs in once, then posts the start form."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    @staticmethod
    def make_user() -> None:
        """Make the person that logs in."""
        User.objects.create_superuser("chaos", password=PASSWORD)

    def start(self, function: str, name: str, text: str) -> str:
        """Post the start form and return the id of the execution it leads to.

        Raises:
            ExecutionAlreadyStarted: the page says so.
            OSError, http.client.HTTPException: the outcome is unknown.
        """
        if not self._is_logged_in:
            self._log_in()
        fields = {"name": name, "text": text, "csrfmiddlewaretoken": self._cookies[settings.CSRF_COOKIE_NAME]}
        status, location = self._request("POST", f"/functions/{function}/start/", fields)
        found = UUID_IN_PATH.search(location)
        if status == http.HTTPStatus.FOUND and found:
            return found.group(1)
        if status == http.HTTPStatus.CONFLICT:
            raise ExecutionAlreadyStarted(function, name, UUID(int=0))
        if status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
            self._cookies.clear()  # logged out, or the form has changed: try from the start
        raise http.client.HTTPException(f"{status} {location}")

    @property
    def _is_logged_in(self) -> bool:
        return bool(self._cookies.get(settings.SESSION_COOKIE_NAME))

    def _log_in(self) -> None:
        self._cookies.clear()
        self._request("GET", "/login/", {})
        token = self._cookies.get(settings.CSRF_COOKIE_NAME, "")
        fields = {"username": "chaos", "password": PASSWORD, "csrfmiddlewaretoken": token}
        self._request("POST", "/login/", fields)
        if not self._is_logged_in:
            raise http.client.HTTPException("could not log in")

    def _request(self, method: str, path: str, fields: Mapping[str, str]) -> tuple[int, str]:
        opened = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
        try:
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
                "Referer": f"http://127.0.0.1:{self._port}{path}",
            }
            opened.request(method, path, urlencode(fields) if fields else None, headers)
            answer = opened.getresponse()
            answer.read()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.partition(";")[0].partition("=")
                self._cookies[name] = value
            return answer.status, answer.headers.get("Location") or ""
        finally:
            opened.close()


@dataclass(order=True)
class _Job:
    due: float
    number: int
    action: Callable[[], bool] = field(compare=False)


class Crew:
    """Threads that do things at given times. An action that returns False is tried again a little later."""

    def __init__(self, threads: int) -> None:
        self._changed = threading.Condition()
        self._jobs: list[_Job] = []
        self._numbers = 0
        self._busy = 0
        self.errors: list[BaseException] = []
        for _ in range(threads):
            threading.Thread(target=self._run, daemon=True, name="crew").start()

    def at(self, due: float, action: Callable[[], bool]) -> None:
        """Do something at a time of the machine's clock."""
        with self._changed:
            self._numbers += 1
            heapq.heappush(self._jobs, _Job(due, self._numbers, action))
            self._changed.notify()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done."""
        with self._changed:
            return not self._jobs and not self._busy

    def _run(self) -> None:
        while True:
            job = self._next()
            try:
                if not job.action():
                    self.at(time.time() + 0.05, job.action)
            except BaseException as error:  # noqa: BLE001 - reported at the end of the run
                self.errors.append(error)
            finally:
                with self._changed:
                    self._busy -= 1

    def _next(self) -> _Job:
        with self._changed:
            while True:
                if self._jobs:
                    wait = self._jobs[0].due - time.time()
                    if wait <= 0:
                        self._busy += 1
                        return heapq.heappop(self._jobs)
                    self._changed.wait(wait)
                else:
                    self._changed.wait()


def complete(journal: Journal, execution_id: str, operation_id: str, succeeds: bool, value: str) -> Request:
    """Complete a callback once."""
    answer = f"SUCCEEDED {value}" if succeeds else "FAILED"

    def call() -> str:
        outcome: dict[str, Any] = {"succeed": value} if succeeds else {"error": {"ErrorMessage": value}}
        complete_callback_of(UUID(execution_id), operation_id, actor=CHAOS, **outcome)
        return ""

    return attempt(
        journal, "complete", f"{execution_id}/{operation_id}", call, execution_id=execution_id, answer=answer
    )


def stop(journal: Journal, execution_id: str) -> Request:
    """Stop an execution once."""

    def call() -> str:
        stop_execution(UUID(execution_id), actor=CHAOS)
        return ""

    return attempt(journal, "stop", execution_id, call, execution_id=execution_id)
