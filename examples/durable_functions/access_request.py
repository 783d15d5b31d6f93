"""Two people open a door for a limited time: a durable wait closes it again, whatever restarts in between."""

from dataclasses import dataclass

from approvals import Choice, Group, wait_for_approval
from durable_engine import DurableContext, Duration, StepContext, durable_execution, durable_step


@dataclass(frozen=True)
class AccessInput:
    """What the start form asks for."""

    person: str = "sam"
    system: str = "payroll database"
    reason: str = "Find out why the November run is short by one payslip"
    seconds: float = 60

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 8 * 3600:
            raise ValueError("seconds must be more than 0 and at most 8 hours")


@durable_execution(name="access-request", input=AccessInput)
def access_request(access: AccessInput, context: DurableContext) -> dict[str, object]:
    """Grant access once two people of the security team agree, and revoke it when its time is over.

    Needs the sample people: `manage.py make_sample_people`. Nobody decides about the own access, two answers of one
    person count once, and nobody answering within four hours is a no.
    """
    decision = wait_for_approval(
        context,
        "access",
        title=f"{access.person} asks for access to the {access.system}",
        description=access.reason,
        details={"person": access.person, "system": access.system, "for": f"{access.seconds:g} seconds"},
        choices=[Choice.approve("Grant"), Choice.reject("Refuse", comment="required")],
        assignees=[Group("security")],
        requester=access.person,
        quorum=2,
        due=Duration.from_hours(1),
        expires=Duration.from_hours(4),
        on_expire="reject",
    )
    if not decision.approved:
        return {"outcome": decision.outcome, "by": decision.by, "comment": decision.comment, "people": decision.people}
    grant_id = context.step(grant(access.person, access.system))
    context.wait(Duration(access.seconds), name="until it is revoked")
    context.step(revoke(grant_id))
    return {"outcome": "granted and revoked", "grant": grant_id, "people": decision.people}


@durable_step
def grant(step: StepContext, person: str, system: str) -> str:
    """Stand in for the access; returns its number."""
    step.logger.info("%s may use the %s", person, system)
    return f"{person}@{system.replace(' ', '-')}"


@durable_step
def revoke(step: StepContext, grant_id: str) -> None:
    """Stand in for taking it away; harmless when done twice."""
    step.logger.info("%s is over", grant_id)
