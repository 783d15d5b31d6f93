"""Figures for Prometheus, read from Postgres at each scrape: every web process answers the same."""

from __future__ import annotations

import threading
import time
from typing import Final

from django.http import HttpResponse

from durable_engine.api.actions import Call, api_action
from durable_engine.api.errors import access_denied
from durable_engine.services.api_keys import METRICS

# Several servers that scrape, or one that tries again, cost one look at the database.
REUSED_SECONDS: Final = 2.0


class _Latest:
    """The newest answer of this process, for as long as it may be given out again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, tuple[float, bytes, str]] = {}

    def answer(self, accepted: str) -> tuple[bytes, str]:
        """Return the text and its content type; whoever comes meanwhile waits and is given the same."""
        with self._lock:
            made, text, content_type = self._made.get(accepted, (float("-inf"), b"", ""))
            if time.monotonic() - made > REUSED_SECONDS:
                text, content_type = _exposition(accepted)
                self._made = {accepted: (time.monotonic(), text, content_type)}
            return text, content_type

    def forget(self) -> None:
        """Look again at the next scrape."""
        self._made = {}


latest: Final = _Latest()


@api_action("GetMetrics", scope=METRICS)
def prometheus_metrics(call: Call) -> HttpResponse:
    """What a scrape reads, in the format that it accepts."""
    if call.caller.key is not None and call.caller.key.functions:
        raise access_denied("The figures are of all functions, and this key is for some: make one without --function.")
    text, content_type = latest.answer(call.request.headers.get("Accept", ""))
    return HttpResponse(text, content_type=content_type)


def _exposition(accepted: str) -> tuple[bytes, str]:
    # Of all processes only those that answer a scrape need the client library.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    from durable_engine.api.exposition import GaugeCollector

    registry = CollectorRegistry(auto_describe=False)
    registry.register(GaugeCollector())
    encode, content_type = choose_encoder(accepted)
    return encode(registry), content_type
