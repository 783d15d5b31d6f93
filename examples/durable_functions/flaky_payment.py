"""A step that fails, backs off and succeeds."""

from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from durable_engine import (
    DurableContext,
    Duration,
    JitterStrategy,
    RetryStrategyConfig,
    StepConfig,
    StepContext,
    create_retry_strategy,
    durable_execution,
    durable_step,
)


class ProviderUnavailable(Exception):
    """The payment provider did not answer; trying again may help."""


# 3 s before the second attempt, 6 s before the third, 12 s before the fourth and last. Any other exception, a bug for
# example, fails the step at once. Without a strategy a step gets RetryPresets.default(): 6 attempts for any exception.
PATIENT = create_retry_strategy(
    RetryStrategyConfig(
        max_attempts=4,
        initial_delay=Duration.from_seconds(3),
        backoff_rate=2,
        jitter_strategy=JitterStrategy.NONE,
        retryable_error_types=[ProviderUnavailable],
    )
)


@dataclass(frozen=True)
class PaymentInput:
    """What the start form asks for: `failing_attempts` 4 or more makes the payment fail for good."""

    order_id: str = "A-1001"
    amount_cents: int = 2500
    failing_attempts: int = 1


@durable_execution(name="flaky-payment", input=PaymentInput)
def flaky_payment(payment: PaymentInput, context: DurableContext) -> dict[str, object]:
    """Charge through a provider that does not answer at first; the second attempt, 3 seconds later, succeeds.

    Each attempt is recorded with its error and stack. Between attempts the execution holds no process. *Retry now* on
    the execution's page ends the back-off early.
    """
    payment_id = context.step(charge(payment), config=StepConfig(retry_strategy=PATIENT))
    return {"order_id": payment.order_id, "payment_id": payment_id}


@durable_step
def charge(step: StepContext, payment: PaymentInput) -> str:
    """Ask the provider for the payment, under a key that makes a repeated request harmless."""
    step.logger.info("order %s: attempt %d to charge", payment.order_id, step.attempt)
    return ask_provider(payment, step.idempotency_key, step.attempt)


def ask_provider(payment: PaymentInput, idempotency_key: str, attempt: int) -> str:
    """Stand in for the provider. It fails by the attempt's number, so it behaves the same in any process."""
    if attempt <= payment.failing_attempts:
        raise ProviderUnavailable(f"payment provider did not answer (attempt {attempt})")
    return f"pay-{uuid5(NAMESPACE_OID, idempotency_key).hex[:12]}"
