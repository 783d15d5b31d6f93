"""A model drafts, a person decides: an editor corrects the text, has it written again, or drops it."""

from dataclasses import dataclass

from approvals import Choice, Decision, Group, wait_for_approval
from durable_engine import DurableContext, Duration, StepContext, durable_execution, durable_step

ATTEMPTS = 3
# What the model is asked to do.
SORT, DRAFT, CHECK = "name the topic", "write the reply", "name what is promised"


@dataclass(frozen=True)
class DraftInput:
    """What the start form asks for."""

    customer: str = "Ms Okafor"
    question: str = "My parcel has not moved for a week. Where is it?"


@durable_execution(name="ai-draft", input=DraftInput)
def ai_draft(request: DraftInput, context: DurableContext) -> dict[str, object]:
    """Sort a question, draft a reply and check it, let an editor correct it in the browser, and send what came of it.

    Needs the sample people: `manage.py make_sample_people`. Each call of the model is a recorded step: it is paid once,
    and a replay never writes another draft than the editor saw.
    """
    topic = context.step(sort(request.question))
    facts = context.step(look_up(topic))
    hint = ""
    for attempt in range(1, ATTEMPTS + 1):
        draft = context.step(write(request, facts, hint), name=f"draft {attempt}")
        promises = context.step(check(draft), name=f"check {attempt}")
        decision = edit(request, draft, {"topic": topic, "promises": promises}, attempt, context)
        if decision.choice != "again" or attempt == ATTEMPTS:
            break
        hint = decision.comment
    if not decision.approved:
        return {"outcome": decision.outcome, "drafts": attempt, "comment": decision.comment}
    text = str(decision.data["text"])
    context.step(send(request.customer, text))
    return {"outcome": "sent", "drafts": attempt, "editor": decision.by, "edited": text != draft, "text": text}


def edit(request: DraftInput, draft: str, findings: dict[str, str], attempt: int, context: DurableContext) -> Decision:
    """Show the draft in a field, so that correcting and approving is one form, and what the model found beside it."""
    return wait_for_approval(
        context,
        f"edit {attempt}",
        title=f"Reply to {request.customer}",
        description=f"{request.customer} asks:\n\n> {request.question}",
        details=findings,
        form={
            "type": "object",
            "properties": {
                "text": {
                    "type": "string",
                    "format": "textarea",
                    "title": "Reply",
                    "description": "Written by a machine: correct it before you send it.",
                    "default": draft,
                    "maxLength": 5_000,
                },
            },
            "required": ["text"],
        },
        choices=[
            Choice.approve("Send"),
            Choice("again", "Write it again", comment="required"),
            Choice.reject("Do not reply"),
        ],
        assignees=[Group("editors")],
        due=Duration.from_hours(4),
        expires=Duration.from_days(2),
        on_expire="reject",
    )


def ask_model(task: str, text: str) -> str:
    """Stand in for a language model: replace this one function. It is plain, so tests replace it as well.

    Raise when the model does not answer: the step is tried again, with growing delays.
    """
    if task == SORT:
        return "delivery" if "parcel" in text.lower() else "other"
    if task == CHECK:
        return "an answer tomorrow" if "tomorrow" in text else "nothing"
    return f"{text},\n\nand we come back to you tomorrow.\n\nYour support"


@durable_step
def sort(step: StepContext, question: str) -> str:
    """Have the model say what it is about."""
    return ask_model(SORT, question)


@durable_step
def look_up(step: StepContext, topic: str) -> str:
    """Stand in for a database: what the model must not make up."""
    return {"delivery": "the parcel is in the depot in Lyon"}.get(topic, "we are looking into it")


@durable_step
def write(step: StepContext, request: DraftInput, facts: str, hint: str) -> str:
    """Have the model write the reply, with what the editor asked for."""
    advice = f" ({hint})" if hint else ""
    return ask_model(DRAFT, f"Dear {request.customer},\n\n{facts}{advice}")


@durable_step
def check(step: StepContext, draft: str) -> str:
    """Have the model read it once more: a second look at its own draft finds what the editor should see."""
    return ask_model(CHECK, draft)


@durable_step
def send(step: StepContext, customer: str, text: str) -> None:
    """Stand in for the mail."""
    step.logger.info("to %s: %s characters", customer, len(text))
