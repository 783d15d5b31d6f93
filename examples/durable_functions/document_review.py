"""People improve something in rounds: reviewers publish, drop, or ask the author for changes."""

from dataclasses import dataclass

from approvals import Choice, Decision, Group, User, ask, wait_for_approval
from durable_engine import DurableContext, Duration, StepContext, durable_execution, durable_step

ROUNDS = 3


@dataclass(frozen=True)
class ReviewInput:
    """What the start form asks for. `text` is Markdown."""

    author: str = "sam"
    title: str = "Release notes 4.2"
    text: str = "Faster start, **two** fixes."


@durable_execution(name="document-review", input=ReviewInput)
def document_review(document: ReviewInput, context: DurableContext) -> dict[str, object]:
    """Have a document reviewed; changes go back to its author, at most three times.

    Needs the sample people: `manage.py make_sample_people`. Within a round a reviewer can also ask the author a
    question on the page itself: the clock stands still until it is answered.
    """
    text = document.text
    for number in range(1, ROUNDS + 1):
        review = review_of(document, text, number, context)
        if review.choice != "changes" or number == ROUNDS:
            break
        text = ask_for_changes(document, text, review, number, context)
    place = context.step(publish(document.title)) if review.approved else None
    return {"outcome": review.outcome, "rounds": number, "by": review.by, "comment": review.comment, "published": place}


def review_of(document: ReviewInput, text: str, number: int, context: DurableContext) -> Decision:
    """Ask one reviewer; `changes` is a choice of its own beside yes and no."""
    return wait_for_approval(
        context,
        f"review {number}",
        title=f"Review: {document.title}",
        description=text,
        details={"author": document.author, "round": f"{number} of {ROUNDS}"},
        choices=[
            Choice.approve("Publish"),
            Choice("changes", "Ask for changes", comment="required"),
            Choice.reject("Drop it", comment="required"),
        ],
        assignees=[Group("editors")],
        requester=document.author,
        due=Duration.from_days(1),
        expires=Duration.from_days(5),
        on_expire="reject",
    )


def ask_for_changes(document: ReviewInput, text: str, review: Decision, number: int, context: DurableContext) -> str:
    """Ask the author for the next version: data entry, so no yes or no."""
    answer = ask(
        context,
        f"changes {number}",
        title=f"Please change: {document.title}",
        description=f"{review.by} asks for changes:\n\n> {review.comment}",
        form={
            "type": "object",
            "properties": {
                "text": {
                    "type": "string",
                    "format": "textarea",
                    "title": "New version",
                    "default": text,
                    "maxLength": 5_000,
                }
            },
            "required": ["text"],
        },
        button="Send the new version",
        assignees=[User(document.author)],
        due=Duration.from_days(2),
    )
    return str(answer.data["text"])


@durable_step
def publish(step: StepContext, title: str) -> str:
    """Stand in for publishing; returns where the document is now."""
    return f"published/{title.strip().lower().replace(' ', '-')}"
