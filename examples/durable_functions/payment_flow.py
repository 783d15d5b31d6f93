"""A payment from authorisation to settlement: fraud checks at the same time, a person in doubt, money given back."""

import zlib
from dataclasses import dataclass
from decimal import Decimal

from approvals import Choice, Group, wait_for_approval
from durable_engine import (
    DurableContext,
    Duration,
    JitterStrategy,
    ParallelBranch,
    RetryPresets,
    StepConfig,
    StepContext,
    WaitForConditionCheckContext,
    WaitForConditionConfig,
    WaitStrategyConfig,
    create_wait_strategy,
    durable_execution,
    durable_step,
)

DECLINED_FROM = 80
DOUBTFUL_FROM = 40
# A reserved amount that is not wanted must become free again: 10 attempts over some minutes, for any error.
UNTIL_DONE = StepConfig(retry_strategy=RetryPresets.critical())


@dataclass(frozen=True)
class CardPaymentInput:
    """What the start form asks for. Above 1,000 a person looks at it, above 10,000 it is declined."""

    order_id: str = "A-1001"
    amount: Decimal = Decimal("48.50")
    currency: str = "EUR"
    settled_after_looks: int = 2

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("amount must be more than 0")
        if not 1 <= self.settled_after_looks <= 10:
            raise ValueError("settled_after_looks must be 1 to 10")


@durable_execution(name="payment-flow", input=CardPaymentInput)
def payment_flow(payment: CardPaymentInput, context: DurableContext) -> dict[str, object]:
    """Reserve the amount, check for fraud, capture it, and wait until the bank has settled it.

    Needs the sample people for amounts above 1,000: `manage.py make_sample_people`. Whatever ends it before the
    capture, an error or a no, the reserved amount becomes free again.
    """
    context.tag(order=payment.order_id)
    with context.saga(UNTIL_DONE) as saga:
        reservation = saga.step(reserve(payment), release, name="reserve", compensation_name="release")
        risk = assess_risk(payment, context)
        refusal = reason_to_refuse(payment, risk, context)
        if refusal:
            saga.compensate()
            return {"order": payment.order_id, "outcome": "declined", "risk": risk, "reason": refusal}
        capture_id = context.step(capture(reservation))
    context.set_status_text("captured, not settled yet")
    settlement = wait_for_settlement(capture_id, payment, context)
    context.step(book(payment.order_id, settlement))
    return {"order": payment.order_id, "outcome": "settled", "risk": risk, "settlement": settlement}


def assess_risk(payment: CardPaymentInput, context: DurableContext) -> int:
    """Ask three services at once; the most worried one counts. One that fails for good fails the payment."""
    checks = context.parallel(
        [
            ParallelBranch(lambda inner: inner.step(score_amount(payment)), name="amount"),
            ParallelBranch(lambda inner: inner.step(score_history(payment)), name="history"),
            ParallelBranch(lambda inner: inner.step(score_device(payment)), name="device"),
        ],
        name="fraud checks",
    )
    checks.throw_if_error()
    return max(check.result or 0 for check in checks.succeeded())


def reason_to_refuse(payment: CardPaymentInput, risk: int, context: DurableContext) -> str | None:
    """Return why not: by the score alone, or by what a person says about a doubtful one."""
    if risk < DOUBTFUL_FROM:
        return None
    if risk >= DECLINED_FROM:
        return f"risk {risk}"
    decision = wait_for_approval(
        context,
        "fraud review",
        title=f"Payment of {payment.amount} {payment.currency} for order {payment.order_id}",
        description="The checks are in **doubt**. The amount is reserved until you decide.",
        details={"order": payment.order_id, "amount": f"{payment.amount} {payment.currency}", "risk": f"{risk} of 100"},
        choices=[Choice.approve("Let it pass"), Choice.reject("Decline", comment="required")],
        assignees=[Group("security")],
        due=Duration.from_hours(1),
        expires=Duration.from_hours(12),
        on_expire="reject",
    )
    return None if decision.approved else f"declined by {decision.by or 'nobody in time'}"


def wait_for_settlement(capture_id: str, payment: CardPaymentInput, context: DurableContext) -> str:
    """Look at the bank's statements until the capture is on one: soon, then once an hour, for two days."""
    strategy = WaitStrategyConfig[str](
        should_continue_polling=lambda settlement: not settlement,
        max_attempts=50,
        initial_delay=Duration.from_seconds(2),
        backoff_rate=4,
        max_delay=Duration.from_hours(1),
        jitter_strategy=JitterStrategy.NONE,
    )

    def look(settlement: str, check: WaitForConditionCheckContext) -> str:
        return f"settlement of {capture_id}" if check.attempt >= payment.settled_after_looks else ""

    config = WaitForConditionConfig(create_wait_strategy(strategy), initial_state="")
    return context.wait_for_condition(look, config, name="settled")


@durable_step
def reserve(step: StepContext, payment: CardPaymentInput) -> str:
    """Stand in for the authorisation; a repeated request is known by `step.idempotency_key`."""
    return f"reservation of {payment.amount} {payment.currency}"


def release(step: StepContext, reservation: str) -> None:
    """Stand in for giving the amount free; harmless when done twice."""
    step.logger.info("%s released", reservation)


@durable_step
def score_amount(step: StepContext, payment: CardPaymentInput) -> int:
    """Stand in for a rule."""
    return 90 if payment.amount > 10_000 else 50 if payment.amount > 1_000 else 5


@durable_step
def score_history(step: StepContext, payment: CardPaymentInput) -> int:
    """Stand in for a look at what the customer has bought so far."""
    return zlib.crc32(payment.order_id.encode()) % 30


@durable_step
def score_device(step: StepContext, payment: CardPaymentInput) -> int:
    """Stand in for a service that knows devices."""
    return zlib.crc32(payment.currency.encode()) % 30


@durable_step
def capture(step: StepContext, reservation: str) -> str:
    """Stand in for the capture, at most once for a `step.idempotency_key`."""
    return f"capture of {reservation.removeprefix('reservation of ')}"


@durable_step
def book(step: StepContext, order_id: str, settlement: str) -> None:
    """Stand in for the ledger. In your own database, `context.transaction` writes it exactly once."""
    step.logger.info("order %s: %s", order_id, settlement)
