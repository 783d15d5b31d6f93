"""How an approval is decided: quorum, choices, reminders and escalation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from approvals.sdk.exceptions import InvalidApproval
from approvals.sdk.people import Assignee, people_as_json

Outcome = Literal["approve", "reject", "answer"]
OUTCOMES = ("approve", "reject", "answer")
KEY = re.compile(r"[a-z][a-z0-9_-]{0,31}")
PERCENT = re.compile(r"(\d{1,3})%")
LARGEST_QUORUM = 1_000
MOST_REMINDERS = 50
MAX_SECONDS = 366 * 86_400


@dataclass(frozen=True)
class Quorum:
    """How many different people have to agree.

    `approve`: a number, `"all"` who may decide, or a part of them as `"60%"`. `per_group`: how many from each group,
    each person counting for one group. `reject`: how many rejections reject; None: as soon as approval has become
    impossible.
    """

    approve: int | str = 1
    reject: int | None = 1
    per_group: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.approve != "all" and not _is_count(self.approve) and not _is_percentage(self.approve):
            raise InvalidApproval(
                f'quorum must be a number of 1 or more, "all", or a part as "60%", not {self.approve!r}'
            )
        if self.reject is not None and not _is_count(self.reject):
            raise InvalidApproval(f"Quorum.reject must be None or a number of 1 or more, not {self.reject!r}")
        for group, count in self.per_group.items():
            if not _is_count(count):
                raise InvalidApproval(f"quorum of the group {group!r} must be a number of 1 or more, not {count!r}")

    @classmethod
    def of(cls, value: object) -> Quorum:
        """Return the quorum for what an author writes: a number, "all", "60%", `{"legal": 1, "finance": 2}` or itself.

        With a percentage, rejections count as missing approvals; otherwise one rejection rejects.
        """
        if isinstance(value, Quorum):
            return value
        if isinstance(value, Mapping):
            counts = dict(value)
            if not counts or not all(_is_count(count) for count in counts.values()):
                raise InvalidApproval(f"quorum must give each group a number of 1 or more, not {value!r}")
            return cls(approve=sum(counts.values()), per_group=counts)
        return cls(approve=value, reject=None if _is_percentage(value) else 1)  # type: ignore[arg-type]  # checked there

    def as_json(self) -> dict[str, Any]:
        """Return the quorum as the request keeps it."""
        return {"approve": self.approve, "reject": self.reject, "per_group": dict(self.per_group)}


@dataclass(frozen=True)
class Choice:
    """One button. `outcome`: what pressing it means; an `answer` is neither yes nor no and decides at once.

    `comment`: whether the person has to say why. `with_form`: whether the form is filled in and checked when it is
    pressed; None: unless it rejects.
    """

    key: str
    label: str
    outcome: Outcome = "answer"
    comment: Literal["optional", "required"] = "optional"
    with_form: bool | None = None

    def __post_init__(self) -> None:
        if not KEY.fullmatch(str(self.key)):
            raise InvalidApproval(
                f"Choice: the key {self.key!r} must be lower-case letters, digits, _ and -, at most 32"
            )
        if not 0 < len(str(self.label)) <= 80:
            raise InvalidApproval(f"Choice({self.key!r}): the label must be 1 to 80 characters")
        if self.outcome not in OUTCOMES or self.comment not in ("optional", "required"):
            raise InvalidApproval(
                f"Choice({self.key!r}): the outcome is approve, reject or answer, the comment optional or required"
            )

    @classmethod
    def approve(cls, label: str = "Approve", *, comment: Literal["optional", "required"] = "optional") -> Choice:
        """The button that agrees."""
        return cls("approve", label, "approve", comment)

    @classmethod
    def reject(cls, label: str = "Reject", *, comment: Literal["optional", "required"] = "optional") -> Choice:
        """The button that refuses."""
        return cls("reject", label, "reject", comment)

    def as_json(self) -> dict[str, Any]:
        """Return the choice as the request keeps it."""
        with_form = self.outcome != "reject" if self.with_form is None else bool(self.with_form)
        words = {"key": self.key, "label": self.label, "outcome": self.outcome, "comment": self.comment}
        return {**words, "with_form": with_form}


def choices_as_json(choices: Iterable[Choice] | None) -> list[dict[str, Any]]:
    """Return the buttons of a request, Approve and Reject when None are given.

    Raises:
        InvalidApproval: not a list of 1 to 10 choices with different keys.
    """
    found = [Choice.approve(), Choice.reject()] if choices is None else list(choices)
    if not 1 <= len(found) <= 10 or not all(isinstance(each, Choice) for each in found):
        raise InvalidApproval("choices must be a list of 1 to 10 Choice objects")
    if len({each.key for each in found}) < len(found):
        raise InvalidApproval("choices must have different keys")
    return [each.as_json() for each in found]


@dataclass(frozen=True)
class After:
    """Once, that long after the request was opened. `notify`, `add` and `replace` make it a step of an escalation."""

    days: float = 0
    hours: float = 0
    minutes: float = 0
    seconds: float = 0

    def __post_init__(self) -> None:
        if not 0 < self.total_seconds <= MAX_SECONDS:
            raise InvalidApproval(f"{self!r} must be more than 0 and at most 366 days")

    @property
    def total_seconds(self) -> float:
        """The time as seconds."""
        return self.days * 86_400 + self.hours * 3_600 + self.minutes * 60 + self.seconds

    def notify(self, *people: Assignee) -> Escalation:
        """Tell these people too; they may look, not decide."""
        return Escalation(self.total_seconds, "notify", people)

    def add(self, *people: Assignee) -> Escalation:
        """Let these people decide too."""
        return Escalation(self.total_seconds, "add", people)

    def replace(self, *people: Assignee) -> Escalation:
        """Let these people decide instead of everybody before."""
        return Escalation(self.total_seconds, "replace", people)


@dataclass(frozen=True)
class Every:
    """Again and again, `max` times, each that long after the one before it."""

    days: float = 0
    hours: float = 0
    minutes: float = 0
    seconds: float = 0
    max: int = 3

    def __post_init__(self) -> None:
        After(self.days, self.hours, self.minutes, self.seconds)
        if not _is_count(self.max) or self.max > MOST_REMINDERS:
            raise InvalidApproval(f"Every.max must be 1 to {MOST_REMINDERS}, not {self.max!r}")

    @property
    def total_seconds(self) -> float:
        """The time between two as seconds."""
        return self.days * 86_400 + self.hours * 3_600 + self.minutes * 60 + self.seconds


@dataclass(frozen=True)
class Escalation:
    """What is done when nobody has decided by then."""

    after_seconds: float
    action: Literal["notify", "add", "replace"]
    people: Sequence[Assignee]

    def as_json(self) -> dict[str, Any]:
        """Return the step as the request keeps it."""
        return {
            "kind": "escalate",
            "after_seconds": self.after_seconds,
            "action": self.action,
            "people": people_as_json(self.people, f"escalate: {self.action}"),
        }


def reminders_as_json(reminders: Iterable[After | Every]) -> list[dict[str, Any]]:
    """Return when to remind, in seconds after the opening; an `Every` goes on from the one before it."""
    times: list[float] = []
    for each in reminders:
        if isinstance(each, After):
            times.append(each.total_seconds)
        elif isinstance(each, Every):
            last = times[-1] if times else 0.0
            times += [last + each.total_seconds * number for number in range(1, each.max + 1)]
        else:
            raise InvalidApproval(f"remind has {each!r}: write After(hours=24) or Every(hours=12, max=3)")
    if len(times) > MOST_REMINDERS:
        raise InvalidApproval(f"remind has {len(times)} reminders; at most {MOST_REMINDERS}")
    return [{"kind": "remind", "after_seconds": seconds} for seconds in sorted(set(times))]


def escalations_as_json(steps: Iterable[Escalation]) -> list[dict[str, Any]]:
    """Return the steps of the escalation in the order of their times."""
    found = list(steps)
    for each in found:
        if not isinstance(each, Escalation):
            raise InvalidApproval(f'escalate has {each!r}: write After(days=1).add(Group("directors"))')
        if not each.people:
            raise InvalidApproval(f"escalate: {each.action} names nobody")
    if len(found) > MOST_REMINDERS:
        raise InvalidApproval(f"escalate has {len(found)} steps; at most {MOST_REMINDERS}")
    return [each.as_json() for each in sorted(found, key=lambda step: step.after_seconds)]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_QUORUM


def _is_percentage(value: object) -> bool:
    match = PERCENT.fullmatch(value) if isinstance(value, str) else None
    return match is not None and 1 <= int(match.group(1)) <= 100
