"""Types of the AWS package for annotations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durable_engine.sdk.concurrency import BatchResult
from durable_engine.sdk.context import Callback, DurableContext

__all__ = ["BatchResult", "Callback", "DurableContext", "SummaryGenerator"]

SummaryGenerator = Callable[[Any], str]
