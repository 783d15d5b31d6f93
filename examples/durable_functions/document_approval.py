"""A person decides: the execution waits for a callback, which the approvals inbox completes."""

from dataclasses import dataclass

from durable_engine import (
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


@dataclass(frozen=True)
class DocumentInput:
    """What the start form asks for."""

    title: str = "Quarterly report"
    author: str = "author@example.com"
    timeout_seconds: float = 60

    def __post_init__(self) -> None:
        if self.timeout_seconds <= 0:
            raise ValueError("timeout_seconds must be more than 0")


@dataclass(frozen=True)
class Decision:
    """How it ended: approved, rejected or expired."""

    outcome: str
    by: str = ""
    comment: str = ""


@durable_execution(name="document-approval", input=DocumentInput)
def document_approval(document: DocumentInput, context: DurableContext) -> dict[str, object]:
    """Prepare a document, wait up to 60 seconds for a person's decision, tell the author, process it if approved.

    While it waits it is listed under Approvals. Approving and rejecting both complete the callback, with
    `{"approved": true or false, "by": …, "comment": …}`. Nobody answering is the third way on, and not a failure.
    """
    draft = context.step(prepare(document.title))
    decision = decide(document, draft, context)
    context.step(notify(document.author, draft, decision))
    location = context.step(process(draft)) if decision.outcome == "approved" else None
    return {
        "document": draft,
        "outcome": decision.outcome,
        "by": decision.by,
        "comment": decision.comment,
        "location": location,
    }


def decide(document: DocumentInput, draft: str, context: DurableContext) -> Decision:
    """Return what the person said, or that nobody did."""
    config = WaitForCallbackConfig(timeout=Duration.from_seconds(document.timeout_seconds), serdes=JsonSerDes())
    try:
        answer = context.wait_for_callback(ask_for_approval(draft), name="approval", config=config)
    except CallbackTimeoutError:
        return Decision("expired")
    # Whoever holds the callback's id may send any JSON; only an explicit yes approves.
    answer = answer if isinstance(answer, dict) else {}
    outcome = "approved" if answer.get("approved") is True else "rejected"
    return Decision(outcome, str(answer.get("by") or ""), str(answer.get("comment") or ""))


@durable_step
def prepare(step: StepContext, title: str) -> str:
    """Stand in for making the document; returns its name."""
    return f"{title.strip().lower().replace(' ', '-')}.pdf"


@durable_wait_for_callback
def ask_for_approval(callback_id: str, submission: WaitForCallbackContext, draft: str) -> None:
    """Hand the callback's id to whoever shall answer; this runs as a step, so once.

    Here people answer in the approvals inbox and need no id. A system that answers by itself would be given it. It is
    a secret that lets its holder decide, so it is not logged.
    """
    submission.logger.info("%s waits for a decision", draft)


@durable_step
def notify(step: StepContext, author: str, draft: str, decision: Decision) -> None:
    """Stand in for a message to the author."""
    step.logger.info("to %s: %s was %s", author, draft, decision.outcome)


@durable_step
def process(step: StepContext, draft: str) -> str:
    """Stand in for publishing; returns where the document is now."""
    return f"published/{draft}"
