"""Conditional branch: what a step finds out decides which steps come next."""

import zlib
from dataclasses import dataclass
from decimal import Decimal

from durable_engine import DurableContext, StepContext, durable_execution, durable_step

PAID_AT_ONCE = Decimal(200)
SUSPICIOUS = 90


@dataclass(frozen=True)
class ClaimInput:
    """What the start form asks for. `suspicion` is what the stand-in for an assessment answers, from 0 to 100."""

    policy: str = "P-310"
    damage: str = "A cup of coffee, and a keyboard under it"
    amount: Decimal = Decimal("129.00")
    suspicion: int = 10

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("amount must be more than 0")
        if not 0 <= self.suspicion <= 100:
            raise ValueError("suspicion must be 0 to 100")


@durable_execution(name="conditional-branch", input=ClaimInput)
def conditional_branch(claim: ClaimInput, context: DurableContext) -> dict[str, object]:
    """Assess an insurance claim, then pay it, have it surveyed first, or refuse it.

    Both sides of each `if` come from the event or from the result of a step, so every replay takes the same branch,
    also when the assessment would say something else by now.
    """
    suspicion = context.step(assess(claim))
    if suspicion >= SUSPICIOUS:
        context.step(refuse(claim.policy))
        return {"policy": claim.policy, "outcome": "refused", "suspicion": suspicion}
    amount = claim.amount
    if amount > PAID_AT_ONCE:
        amount = min(amount, context.step(survey(claim)))
    return {"policy": claim.policy, "outcome": "paid", "transfer": context.step(pay(claim.policy, amount))}


@durable_step
def assess(step: StepContext, claim: ClaimInput) -> int:
    """Stand in for a scoring service, which learns and answers differently tomorrow; its answer of today is kept."""
    return claim.suspicion


@durable_step
def survey(step: StepContext, claim: ClaimInput) -> Decimal:
    """Stand in for a surveyor; returns what the damage is worth."""
    percentage = 60 + zlib.crc32(claim.damage.encode()) % 60
    return (claim.amount * percentage / 100).quantize(Decimal("0.01"))


@durable_step
def refuse(step: StepContext, policy: str) -> None:
    """Stand in for a letter."""
    step.logger.info("the claim of %s is refused", policy)


@durable_step
def pay(step: StepContext, policy: str, amount: Decimal) -> str:
    """Stand in for the transfer, which the bank knows again by `step.idempotency_key`."""
    return f"{amount} to the holder of {policy}"
