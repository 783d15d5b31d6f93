"""A loop without an end: each turn is an execution of its own, so that no history grows for ever."""

from dataclasses import dataclass

from durable_engine import DurableContext, Duration, StepContext, ValidationError, durable_execution, durable_step


@dataclass(frozen=True)
class Subscription:
    """What the start form asks for. A real subscription would wait a month and have no last turn."""

    customer: str = "C-7"
    seconds_between: float = 5
    turn: int = 1
    last_turn: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.seconds_between <= 3600:
            raise ValidationError("seconds_between must be more than 0 and at most 3600")
        if not 1 <= self.turn <= self.last_turn <= 100:
            raise ValidationError("turn and last_turn must be 1 to 100, and turn not above last_turn")


@durable_execution(name="endless-loop", input=Subscription)
def endless_loop(subscription: Subscription, context: DurableContext) -> str:
    """Bill a customer, wait, and begin anew under the same name."""
    context.tag(customer=subscription.customer)
    context.set_status_text(f"month {subscription.turn}")
    context.step(bill(subscription.customer, subscription.turn), name="bill")
    if subscription.turn == subscription.last_turn:
        return f"{subscription.customer} left after {subscription.turn} months"
    context.wait(Duration.from_seconds(subscription.seconds_between), name="a month")
    return context.continue_as_new(
        {
            "customer": subscription.customer,
            "seconds_between": subscription.seconds_between,
            "turn": subscription.turn + 1,
            "last_turn": subscription.last_turn,
        }
    )


@durable_step
def bill(step: StepContext, customer: str, turn: int) -> str:
    """Stand in for an invoice."""
    return f"invoice {turn} to {customer}"
