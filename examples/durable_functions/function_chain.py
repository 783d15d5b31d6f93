"""Function chaining: one durable function runs others, each as an execution with a page and a history of its own."""

from dataclasses import dataclass
from typing import Any

from durable_engine import DurableContext, InvokeError, StepContext, durable_execution, durable_step


@dataclass(frozen=True)
class CheckoutInput:
    """What the start form asks for. An amount above the limit of the card lets the payment fail."""

    order_id: str = "A-1001"
    amount: int = 120
    limit: int = 500


@durable_execution(name="function-chain", input=CheckoutInput)
def function_chain(order: CheckoutInput, context: DurableContext) -> dict[str, Any]:
    """Charge the card, then ship the parcel: two functions that other handlers use as well."""
    charge = {"order_id": order.order_id, "amount": order.amount, "limit": order.limit}
    try:
        payment = context.invoke("charge-card", charge, name="payment")
    except InvokeError as error:
        return {"order": order.order_id, "outcome": "not paid", "reason": str(error)}
    parcel = context.invoke("ship-parcel", {"order_id": order.order_id}, name="shipping")
    return {"order": order.order_id, "outcome": "shipped", **payment, **parcel}


class CardDeclined(Exception):
    """The card does not cover the amount; trying again does not help."""


@durable_execution(name="charge-card")
def charge_card(event: dict[str, Any], context: DurableContext) -> dict[str, str]:
    """Charge a card."""
    if event["amount"] > event["limit"]:
        raise CardDeclined(f"{event['amount']} is over the limit of {event['limit']}")
    return {"receipt": context.step(charge(event["order_id"], event["amount"]), name="charge")}


@durable_execution(name="ship-parcel")
def ship_parcel(event: dict[str, Any], context: DurableContext) -> dict[str, str]:
    """Print a label."""
    return {"label": context.step(print_label(event["order_id"]), name="print label")}


@durable_step
def charge(step: StepContext, order_id: str, amount: int) -> str:
    """Stand in for a payment provider, which knows a repeated call by `step.idempotency_key`."""
    return f"{amount} paid for {order_id}"


@durable_step
def print_label(step: StepContext, order_id: str) -> str:
    """Stand in for a label printer."""
    return f"label of {order_id}"
