"""Steps and a wait: the shape of most handlers."""

from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from durable_engine import (
    DurableContext,
    Duration,
    RetryPresets,
    StepConfig,
    StepContext,
    durable_execution,
    durable_step,
)


@dataclass(frozen=True)
class OrderInput:
    """What the start form asks for."""

    order_id: str = "A-1001"
    quantity: int = 2
    unit_price_cents: int = 1250
    cooling_off_seconds: float = 10

    def __post_init__(self) -> None:
        # Raised when somebody starts the execution: the start is refused with this text.
        if self.cooling_off_seconds <= 0:
            raise ValueError("cooling_off_seconds must be more than 0")


@dataclass(frozen=True)
class Payment:
    """A step may return a dataclass; the history keeps it and replay restores it."""

    payment_id: str
    amount_cents: int


@durable_execution(name="order-processing", input=OrderInput)
def order_processing(order: OrderInput, context: DurableContext) -> dict[str, object]:
    """Validate an order, take the payment, wait 10 seconds, confirm.

    Each step runs once and is recorded. While it waits, the execution holds no process: stop everything during the
    wait, start it again, and the order is confirmed without being paid twice.
    """
    amount_cents = context.step(validate(order), config=StepConfig(retry_strategy=RetryPresets.none()))
    payment = context.step(pay(order.order_id, amount_cents))
    context.wait(Duration.from_seconds(order.cooling_off_seconds), name="cooling-off")
    confirmation = context.step(confirm(order.order_id, payment))
    return {
        "order_id": order.order_id,
        "payment_id": payment.payment_id,
        "amount_cents": payment.amount_cents,
        "confirmation": confirmation,
    }


@durable_step
def validate(step: StepContext, order: OrderInput) -> int:
    """Return the amount to pay. A wrong order stays wrong, so this step is not retried."""
    if order.quantity < 1 or order.unit_price_cents < 1:
        raise ValueError(f"order {order.order_id}: quantity and unit_price_cents must be 1 or more")
    return order.quantity * order.unit_price_cents


@durable_step
def pay(step: StepContext, order_id: str, amount_cents: int) -> Payment:
    """Stand in for a payment provider.

    A step body can run twice when its worker dies before the outcome is recorded. The idempotency key is the same
    both times, so a provider that is given it charges once; here the payment's id is derived from it.
    """
    payment_id = f"pay-{uuid5(NAMESPACE_OID, step.idempotency_key).hex[:12]}"
    step.logger.info("order %s: %d cents paid as %s", order_id, amount_cents, payment_id)
    return Payment(payment_id, amount_cents)


@durable_step
def confirm(step: StepContext, order_id: str, payment: Payment) -> str:
    """Stand in for the confirmation e-mail."""
    return f"order {order_id} confirmed, {payment.amount_cents / 100:.2f} paid"
