"""How many requests a second a key may make in this process: a bucket that fills that fast, of a second's worth."""

from __future__ import annotations

import threading
import time
from typing import Final

from django.conf import settings

from durable_engine.api.callers import Caller
from durable_engine.api.errors import too_many

MOST_BUCKETS: Final = 10_000


class _Buckets:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}  # requests left, and when that was

    def take(self, name: str, rate: float) -> bool:
        now = time.monotonic()
        with self._lock:
            left, since = self._left.pop(name, (rate, now))
            left = min(rate, left + (now - since) * rate)
            # Put last, so that the first ones are those not seen for longest.
            self._left[name] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > MOST_BUCKETS:
                del self._left[next(iter(self._left))]
            return left >= 1


_buckets = _Buckets()


def check_rate(caller: Caller) -> None:
    """Raise TooManyRequestsException when the key has used up its second."""
    rate = (caller.key and caller.key.requests_per_second) or settings.DURABLE_API_REQUESTS_PER_SECOND
    if not _buckets.take(caller.name, float(rate)):
        raise too_many(f"{caller.actor.label} made more than {rate} requests in a second.")
