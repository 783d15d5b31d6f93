"""What can be done to one execution: the words of each action, who may, and why one does not apply now."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.asking import Asked
from dashboard.seen import Seen
from durable_engine.queries.refusals import RULES

ASKED: Mapping[str, Asked] = {
    "stop": Asked(
        title="Stop this execution?",
        effect="It ends as Stopped, for good. A step that is running may finish what it does outside, but nothing more "
        "is recorded and no later step runs. Waits and open callbacks are cancelled.",
        button="Stop execution",
        button_style="button-danger-fill",
        done="The execution was stopped.",
    ),
    "pause": Asked(
        title="Pause this execution?",
        effect="It does nothing until somebody resumes it. A step that is running is cut off and runs again after "
        "that. Callbacks can still be answered; its execution timeout stands still.",
        button="Pause execution",
        done="The execution is paused.",
    ),
    "resume": Asked(
        title="Resume this execution?",
        effect="It goes on from its last checkpoint. Waits that fell due meanwhile are over at once.",
        button="Resume execution",
        done="The execution goes on.",
    ),
    "redrive": Asked(
        title="Redrive this execution?",
        effect="A new execution goes on from what failed, under the same name. What is completed is kept and does not "
        "run again. This one stays as it is.",
        button="Redrive execution",
        done="The execution was redriven: this is the one that goes on.",
    ),
    "rerun": Asked(
        title="Run it again?",
        effect="A new execution of the same function starts from the beginning with the same input. This one stays as "
        "it is.",
        button="Run again",
        done="It runs again: this is the new execution.",
    ),
    "delete": Asked(
        title="Delete this execution?",
        effect="It and its history are gone, for good. Executions that it invoked, or that came of it, stay. The audit "
        "keeps who deleted it and why.",
        button="Delete execution",
        button_style="button-danger-fill",
        done="The execution was deleted.",
    ),
    "retry": Asked(
        title="Retry this step now?",
        effect="Its next attempt starts at once instead of waiting for the rest of its back-off.",
        button="Retry now",
        done="The next attempt starts now.",
    ),
    "skip": Asked(
        title="Skip this wait?",
        effect="It is over now, and the handler goes on as if its time had come.",
        button="Skip the wait",
        done="The wait is over.",
    ),
    "complete": Asked(
        title="Complete this operation by hand?",
        effect="It gets the outcome that you give it, for good, and the handler goes on with that. Nothing that it "
        "does outside is done or undone.",
        button="Complete operation",
        done="The operation was completed.",
    ),
    "rewind": Asked(
        title="Rewind to this operation?",
        effect="A new execution goes on from just before it, under the same name. The operation and what followed it "
        "run again. A paused execution is stopped by this.",
        button="Rewind execution",
        done="The execution was rewound: this is the one that goes on.",
    ),
    "fork": Asked(
        title="Fork from this operation?",
        effect="A copy goes on from just before it, under a name of its own. This execution is not touched.",
        button="Fork execution",
        done="This is the copy.",
    ),
}


@dataclass(frozen=True, slots=True)
class _Offer:
    key: str
    label: str
    permission: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class ActionChoice:
    """One action as the heading offers it; with a `refusal` it can't be chosen now."""

    key: str
    label: str
    url: str
    style: str
    refusal: str = ""


_OFFERS = (
    _Offer("redrive", "Redrive", "operate_execution", "button-primary"),
    _Offer("resume", "Resume", "operate_execution", "button-primary"),
    _Offer("pause", "Pause", "operate_execution"),
    _Offer("stop", "Stop", "stop_execution", "button-danger"),
    _Offer("rerun", "Run again", "start_execution"),
    _Offer("delete", "Delete", "delete_execution", "button-danger"),
)
# Kept behind the menu even when they apply: rarely meant, and not to be hit by mistake.
_IN_MENU = frozenset({"delete"})


@dataclass(frozen=True, slots=True)
class Actions:
    """The buttons of the heading, and the menu with everything else: what does not apply stays there and says why."""

    buttons: list[ActionChoice]
    menu: list[ActionChoice]


def actions_of(seen: Seen) -> Actions:
    """What the person may do to the execution now."""
    choices = [_choice(seen, offer) for offer in _OFFERS if seen.may(offer.permission)]
    buttons = [choice for choice in choices if not choice.refusal and choice.key not in _IN_MENU]
    return Actions(buttons, [choice for choice in choices if choice not in buttons])


def _choice(seen: Seen, offer: _Offer) -> ActionChoice:
    rule = RULES.get(offer.key)
    refusal = rule(seen.execution) if rule is not None else None
    text = "" if refusal is None else " ".join(filter(None, refusal))
    return ActionChoice(offer.key, offer.label, seen.url(offer.key), offer.style, text)
