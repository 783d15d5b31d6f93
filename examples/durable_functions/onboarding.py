"""Onboarding over days: it mostly waits, for a person or for the next morning, and holds nothing meanwhile."""

from dataclasses import dataclass

from durable_engine import (
    CallbackKeyTakenError,
    CallbackTimeoutError,
    DurableContext,
    Duration,
    JsonSerDes,
    StepContext,
    WaitForCallbackConfig,
    WaitForCallbackContext,
    durable_execution,
    durable_step,
    durable_wait_for_callback,
)

MAILS = 3
TIPS = ((1, "a first project"), (3, "invite your team"), (7, "shortcuts"))


@dataclass(frozen=True)
class NewUserInput:
    """What the start form asks for. A real day has 86,400 seconds; here it has 10, so that you can watch."""

    address: str = "kim@example.com"
    seconds_per_day: float = 10

    def __post_init__(self) -> None:
        if not 0 < self.seconds_per_day <= 86_400:
            raise ValueError("seconds_per_day must be more than 0 and at most 86400")

    def days(self, number: float) -> Duration:
        """That many days as the form wants them."""
        return Duration(self.seconds_per_day * number)


@durable_execution(name="onboarding", input=NewUserInput)
def onboarding(user: NewUserInput, context: DurableContext) -> dict[str, object]:
    """Make an account, wait for the address to be confirmed, send tips on days 1, 3 and 7, and ask how it went.

    The link in the mail is sent three times, once a day. Approve under Approvals to follow it, or

        manage.py durable callback --key kim@example.com --function onboarding --succeed '{"approved": true}'
    """
    context.tag(user=user.address)
    account = context.step(make_account(user.address))
    try:
        confirmed = address_is_confirmed(user, context)
    except CallbackKeyTakenError:
        return {"account": account, "outcome": "already under way"}
    if not confirmed:
        context.step(delete_account(account))
        return {"account": account, "outcome": "not confirmed"}
    today = 0
    for day, tip in TIPS:
        context.set_status_text(f"until day {day}: {tip}")
        context.wait(user.days(day - today), name=f"day {day}")
        context.step(send_tip(user.address, tip), name=f"tip: {tip}")
        today = day
    return {"account": account, "outcome": "settled in", "projects": context.step(count_projects(account))}


def address_is_confirmed(user: NewUserInput, context: DurableContext) -> bool:
    """Send the link, and again after a day without an answer. Its key is the address: nobody stores callback ids."""
    for mail in range(1, MAILS + 1):
        config = WaitForCallbackConfig(timeout=user.days(1), serdes=JsonSerDes(), key=user.address)
        try:
            answer = context.wait_for_callback(send_link(user.address), name=f"confirmation {mail}", config=config)
        except CallbackTimeoutError:
            continue
        # Any JSON may come; only an explicit yes counts. "That was not me" ends it.
        return isinstance(answer, dict) and answer.get("approved") is True
    return False


@durable_step
def make_account(step: StepContext, address: str) -> str:
    """Stand in for an account; made once for an address, so a repeat is harmless."""
    return f"account of {address}"


@durable_wait_for_callback
def send_link(callback_id: str, submission: WaitForCallbackContext, address: str) -> None:
    """Stand in for a mail whose link leads to a page of yours, which completes the callback by its key."""
    submission.logger.info("please confirm: %s", address)


@durable_step
def send_tip(step: StepContext, address: str, tip: str) -> None:
    """Stand in for a mail."""
    step.logger.info("to %s: %s", address, tip)


@durable_step
def count_projects(step: StepContext, account: str) -> int:
    """Stand in for a look at what became of it."""
    return 2


@durable_step
def delete_account(step: StepContext, account: str) -> None:
    """Stand in for the deletion; harmless when done twice."""
    step.logger.info("%s deleted", account)
