"""People decide in stages: an expense climbs to manager, director and CFO as far as its amount asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from approvals import After, Choice, Decision, Group, wait_for_approval
from durable_engine import DurableContext, Duration, StepContext, durable_execution, durable_step

# Stage, who is asked, and above which amount.
HIGHER_STAGES = (("director", "directors", Decimal(1_000)), ("cfo", "cfo", Decimal(10_000)))


@dataclass(frozen=True)
class ExpenseInput:
    """What the start form asks for."""

    employee: str = "sam"
    purpose: str = "Team offsite in Porto"
    amount: Decimal = Decimal("2400.00")
    currency: str = "EUR"

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("amount must be more than 0")


@durable_execution(name="expense-approval", input=ExpenseInput)
def expense_approval(expense: ExpenseInput, context: DurableContext) -> dict[str, object]:
    """Ask a manager, above 1,000 a director, above 10,000 the CFO; then pay what was granted.

    Needs the sample people: `manage.py make_sample_people`. The employee can't approve the own expense, and nobody can
    approve two of its stages. The manager may grant less, and the granted amount decides how far it climbs.
    """
    decision = ask_for(expense, expense.amount, "manager", "managers", context, form=grant_form(expense))
    granted = Decimal(decision.data["granted_amount"]) if decision.approved else Decimal(0)
    for stage, group, above in HIGHER_STAGES:
        if decision.approved and granted > above:
            decision = ask_for(expense, granted, stage, group, context)
    payment = context.step(pay(expense.employee, granted, expense.currency)) if decision.approved else None
    context.step(tell(expense.employee, decision.outcome, decision.comment))
    return {
        "outcome": decision.outcome,
        "by": decision.by,
        "comment": decision.comment,
        "granted": str(granted) if decision.approved else None,
        "payment": payment,
    }


def ask_for(
    expense: ExpenseInput,
    amount: Decimal,
    stage: str,
    group: str,
    context: DurableContext,
    form: Mapping[str, Any] | None = None,
) -> Decision:
    """Ask one stage, and wait up to a week for its decision."""
    return wait_for_approval(
        context,
        stage,
        title=f"{expense.purpose}: {amount} {expense.currency} for {expense.employee}",
        description="Please check that the expense is **necessary** and within the budget.",
        details={
            "employee": expense.employee,
            "purpose": expense.purpose,
            "amount": f"{amount} {expense.currency}",
            "asked_for": f"{expense.amount} {expense.currency}",
        },
        form=form,
        choices=[Choice.approve(), Choice.reject(comment="required")],
        assignees=[Group(group)],
        requester=expense.employee,
        separate=True,
        due=Duration.from_days(2),
        expires=Duration.from_days(7),
        on_expire="reject",
        remind=[After(days=1)],
        bulk=form is None,
    )


def grant_form(expense: ExpenseInput) -> dict[str, Any]:
    """What the manager fills in; proposes what was asked for."""
    return {
        "type": "object",
        "properties": {
            "granted_amount": {
                "type": "string",
                "format": "decimal",
                "title": "Granted amount",
                "x-currency": expense.currency,
                "default": str(expense.amount),
                "exclusiveMinimum": 0,
            },
            "cost_centre": {"type": "string", "title": "Cost centre", "enum": ["4100 Travel", "4200 Training"]},
        },
        "required": ["granted_amount", "cost_centre"],
    }


@durable_step
def pay(step: StepContext, employee: str, amount: Decimal, currency: str) -> str:
    """Stand in for the transfer; returns its number."""
    step.logger.info("%s %s to %s", amount, currency, employee)
    return f"transfer of {amount} {currency} to {employee}"


@durable_step
def tell(step: StepContext, employee: str, outcome: str, comment: str) -> None:
    """Stand in for a message of one's own; approvals tell the requester by mail anyway."""
    step.logger.info("to %s: %s %s", employee, outcome, comment)
