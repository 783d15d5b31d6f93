"""A handler written against the AWS SDK, with nothing of Perdure in it; see docs/remote-functions.md."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution, durable_step
from aws_durable_execution_sdk_python.config import Duration

PRICES = {"mug": 900, "plate": 1200}


@durable_step
def price_of(step: StepContext, item: str) -> int:
    """Look up one price, in cents."""
    return PRICES.get(item, 500)


@durable_execution
def handler(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    """Price every item, wait a little, and add up."""
    prices = [context.step(price_of(item)) for item in event["items"]]
    context.wait(Duration.from_seconds(2), name="reserve")
    return {"items": len(prices), "total_cents": sum(prices)}
