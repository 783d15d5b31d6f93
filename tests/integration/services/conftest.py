"""Handlers that tests may start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from durable_engine.sdk import registry
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.registry import DurableHandler


@dataclass
class RefundInput:
    """What the refund handler takes."""

    order: str
    amount: float


def handle(event: Any, context: Any) -> None:
    """Do nothing; these tests never run it."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The functions this process knows, for one test."""
    with registry.isolated():
        registry.register(DurableHandler("orders", 1, handle))
        registry.register(DurableHandler("orders", 2, handle))
        registry.register(
            DurableHandler(
                "refund", 1, handle, execution_timeout=Duration.from_minutes(10), queue="slow", input=RefundInput
            )
        )
        yield
