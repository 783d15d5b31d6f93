"""A person who opens pages: what they take of the server, without a network between."""

from __future__ import annotations

import gzip
import statistics
import time
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

ROUNDS: Final = 5
OF_THE_SESSION: Final = 2  # queries: the session and its user


class UnexpectedAnswer(Exception):
    """A page did not come; the message says which."""


@dataclass(frozen=True)
class Visited:
    """One page: server time and this process's processor time in milliseconds; its size in KiB, as it travels."""

    milliseconds: float
    cpu_milliseconds: float
    kib: float
    text: str


class Visitor:
    """Somebody who is logged in and opens pages of the product, through everything that a request passes."""

    def __init__(self, user: User) -> None:
        self._client = Client(headers={"host": "localhost"})
        self._client.force_login(user)

    def open(self, path: str, times: int) -> Visited:
        """Open a page again and again, in rounds, of which the best counts: what else runs only ever takes away."""
        content = self._get(path, 200)
        walls, cpus = [], []
        for _ in range(ROUNDS):
            taken = [self._timed(path) for _ in range(times)]
            walls.append(statistics.median(wall for wall, _ in taken))
            cpus.append(statistics.median(cpu for _, cpu in taken))
        return Visited(min(walls) * 1000, min(cpus) * 1000, len(gzip.compress(content, 6)) / 1024, content.decode())

    def queries(self, path: str, status: int = 200) -> int:
        """Return how many queries an answer takes beyond those for the session and its user."""
        with CaptureQueriesContext(connection) as captured:
            self._get(path, status)
        return len(captured) - OF_THE_SESSION

    def _timed(self, path: str) -> tuple[float, float]:
        began, cpu = time.perf_counter(), time.process_time()
        self._get(path, 200)
        return time.perf_counter() - began, time.process_time() - cpu

    def _get(self, path: str, status: int) -> bytes:
        response = self._client.get(path)
        if response.status_code != status:
            raise UnexpectedAnswer(f"{path} answered {response.status_code}, not {status}")
        return bytes(response.content)
