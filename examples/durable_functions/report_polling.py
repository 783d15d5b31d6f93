"""Polling with back-off: ask again and again, less and less often, until the other side is ready."""

from dataclasses import dataclass

from durable_engine import (
    DurableContext,
    Duration,
    JitterStrategy,
    StepContext,
    WaitForConditionCheckContext,
    WaitForConditionConfig,
    WaitForConditionError,
    WaitStrategyConfig,
    create_wait_strategy,
    durable_execution,
    durable_step,
)

MAX_LOOKS = 8


@dataclass(frozen=True)
class ReportInput:
    """What the start form asks for. The report is ready at the look of that number; above 8 it never is."""

    month: str = "2026-10"
    ready_at_look: int = 4
    first_delay_seconds: float = 2

    def __post_init__(self) -> None:
        if self.ready_at_look < 1:
            raise ValueError("ready_at_look must be 1 or more")
        if not 0 < self.first_delay_seconds <= 60:
            raise ValueError("first_delay_seconds must be more than 0 and at most 60")


@dataclass(frozen=True)
class Report:
    """Where the report stands: what each look returns, and the next one is given."""

    number: str
    status: str = "QUEUED"
    rows: int = 0


@durable_execution(name="report-polling", input=ReportInput)
def report_polling(wanted: ReportInput, context: DurableContext) -> dict[str, object]:
    """Order a report, and look after 2, 4, 8, … seconds, at most a minute, whether it is there; 8 looks in all.

    Between two looks the execution holds no process. Its page shows each look, and when the next one is due.
    """
    number = context.step(order(wanted.month))
    strategy = WaitStrategyConfig[Report](
        should_continue_polling=lambda report: report.status != "READY",
        max_attempts=MAX_LOOKS,
        initial_delay=Duration(wanted.first_delay_seconds),
        backoff_rate=2,
        max_delay=Duration.from_minutes(1),
        # One report at a time: nothing to spread. Where many wait for one service, leave the default.
        jitter_strategy=JitterStrategy.NONE,
    )

    def look(report: Report, check: WaitForConditionCheckContext) -> Report:
        check.logger.info("look %d at report %s", check.attempt, report.number)
        return ask(report, check.attempt, wanted.ready_at_look)

    try:
        report = context.wait_for_condition(
            look, WaitForConditionConfig(create_wait_strategy(strategy), Report(number)), name="report is ready"
        )
    except WaitForConditionError:
        context.step(cancel(number))
        return {"report": number, "outcome": f"not ready after {MAX_LOOKS} looks"}
    return {"report": number, "outcome": "ready", "rows": report.rows}


def ask(report: Report, look: int, ready_at_look: int) -> Report:
    """Stand in for the other side's status page. Answers by the look's number, so the same in any process."""
    if look < ready_at_look:
        return Report(report.number, "RUNNING", rows=1_000 * look)
    return Report(report.number, "READY", rows=12_500)


@durable_step
def order(step: StepContext, month: str) -> str:
    """Stand in for the order; the other side knows a repeated one by `step.idempotency_key`."""
    return f"report-{month}"


@durable_step
def cancel(step: StepContext, number: str) -> None:
    """Stand in for taking the order back."""
    step.logger.info("%s is not needed any more", number)
