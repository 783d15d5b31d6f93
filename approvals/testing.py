"""For tests of handlers that ask people: answers that come by themselves, in the in-memory test runner.

    with DurableFunctionTestRunner(refund) as runner, auto(runner, manager=approve(by="ana")) as people:
        result = runner.run('{"amount": 120}')
    assert people.asked["manager"].title == "Refund 120 EUR"

Nothing here needs a database. Time in tests that have one is moved by `approvals.virtual_time.VirtualClock`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from approvals.sdk.decision import Decision, VoteOf
from approvals.sdk.exceptions import InvalidApproval
from approvals.sdk.opening import use_requests
from approvals.sdk.spec import ApprovalSpec
from approvals.sdk.waiting import expired_decision
from durable_engine.sdk.types import ErrorObject

OUTCOMES = {"approve": "approved", "reject": "rejected", "answer": "answered"}


class Runner(Protocol):
    """What is used of `DurableFunctionTestRunner`."""

    def send_callback_success(self, callback_id: str, result: bytes | str | None = None) -> None:
        """Complete a callback."""

    def send_callback_failure(self, callback_id: str, error: ErrorObject | None = None) -> None:
        """Fail a callback."""


@dataclass(frozen=True)
class Reply:
    """What people will say. Made by `approve`, `reject`, `answer`, `expire` and `withdraw`."""

    kind: Literal["vote", "expire", "withdraw"]
    choice: str = ""
    by: tuple[str, ...] = ("approver",)
    comment: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def approve(
    by: str | Sequence[str] = "approver", *, data: Mapping[str, Any] | None = None, comment: str = "", choice: str = ""
) -> Reply:
    """One or several people approve; `choice` when the handler has named the button otherwise."""
    return Reply("vote", choice or "approve", _names(by), comment, data or {})


def reject(by: str | Sequence[str] = "approver", *, comment: str = "", choice: str = "") -> Reply:
    """Somebody rejects."""
    return Reply("vote", choice or "reject", _names(by), comment)


def answer(
    choice: str = "answer", by: str = "approver", *, data: Mapping[str, Any] | None = None, comment: str = ""
) -> Reply:
    """Somebody presses one of the handler's own buttons, or fills in the form of `ask`."""
    return Reply("vote", choice, _names(by), comment, data or {})


def expire() -> Reply:
    """Nobody decides in time: `on_expire` is applied."""
    return Reply("expire")


def withdraw(reason: str = "withdrawn") -> Reply:
    """The question is taken back."""
    return Reply("withdraw", comment=reason)


@dataclass(frozen=True)
class Asked:
    """A request that the handler has opened."""

    name: str
    callback_id: str
    spec: ApprovalSpec

    @property
    def title(self) -> str:
        """What people see first."""
        return str(self.spec.subject["title"])

    @property
    def details(self) -> Mapping[str, Any]:
        """The read-only facts."""
        found: Mapping[str, Any] = self.spec.subject["details"]
        return found

    @property
    def assignees(self) -> list[dict[str, str]]:
        """Who is asked: `[{"group": "finance"}]`."""
        found: list[dict[str, str]] = self.spec.policy["assignees"]
        return found


class People:
    """Stands in for everybody: keeps what was `asked`, by name, and answers what has a reply."""

    def __init__(self, runner: Runner, replies: Mapping[str, Reply]) -> None:
        self.asked: dict[str, Asked] = {}
        self.withdrawn: dict[str, str] = {}
        self.files: dict[str, bytes] = {}  # contents for `read_attachment`, by the id in the reply's data
        self._runner = runner
        self._replies = dict(replies)

    def reply(self, name: str, reply: Reply) -> None:
        """Answer a request that is open; the execution goes on.

        Raises:
            InvalidApproval: there is no such request, or the answer does not fit it.
        """
        if name not in self.asked:
            raise InvalidApproval(f"nobody was asked {name!r}; there are {', '.join(self.asked) or 'no requests'}")
        self._send(self.asked[name], reply)

    def open(self, callback_id: str, name: str, spec: ApprovalSpec) -> str:
        """Take a request of the handler; answer it when there is a reply for its name."""
        asked = self.asked[name] = Asked(name, callback_id, spec)
        if name in self._replies:
            self._send(asked, self._replies[name])
        return f"request-{name}"

    def attachment(self, attachment_id: str) -> bytes:
        """Return a file that the test has put into `files`."""
        return self.files[attachment_id]

    def withdraw(self, callback_id: str, reason: str) -> None:
        """Note that the handler took its question back."""
        name = next(each.name for each in self.asked.values() if each.callback_id == callback_id)
        self.withdrawn[name] = reason

    def _send(self, asked: Asked, reply: Reply) -> None:
        if reply.kind == "withdraw":
            error = ErrorObject(message=reply.comment, type="ApprovalWithdrawn")
            self._runner.send_callback_failure(asked.callback_id, error)
            return
        decision = expired_decision(asked.spec) if reply.kind == "expire" else decision_of(asked, reply)
        self._runner.send_callback_success(asked.callback_id, decision.as_text())


@contextmanager
def auto(runner: Runner, replies: Mapping[str, Reply] | None = None, /, **named: Reply) -> Iterator[People]:
    """Answer the approvals of a handler that the runner runs, by their names; others stay open for `people.reply`."""
    people = People(runner, {**(replies or {}), **named})
    before = use_requests(people)
    try:
        yield people
    finally:
        use_requests(before)


def decision_of(asked: Asked, reply: Reply) -> Decision:
    """Return what the handler receives for a reply.

    Raises:
        InvalidApproval: no such button, a field that is not in the form or is missing, or the requester decides.
    """
    choice = _choice(asked, reply)
    _check_people(asked, reply)
    _check_fields(asked, reply, wants_form=choice["with_form"])
    votes = tuple(VoteOf(name, reply.choice, reply.comment) for name in reply.by)
    return Decision(
        outcome=OUTCOMES[choice["outcome"]],
        choice=reply.choice,
        data=reply.data,
        comment=reply.comment,
        by=reply.by[-1],
        votes=votes,
        request_id=f"request-{asked.name}",
        digest=asked.spec.digest,
    )


def _choice(asked: Asked, reply: Reply) -> Mapping[str, Any]:
    choices = asked.spec.subject["choices"]
    for each in choices:
        if each["key"] == reply.choice:
            if each["comment"] == "required" and not reply.comment:
                raise InvalidApproval(f"{asked.name}: {reply.choice!r} needs a comment")
            found: Mapping[str, Any] = each
            return found
    known = ", ".join(repr(each["key"]) for each in choices)
    raise InvalidApproval(f"{asked.name}: there is no button {reply.choice!r}; there are {known}")


def _check_people(asked: Asked, reply: Reply) -> None:
    requester, barred = asked.spec.subject["requester"], set(asked.spec.policy["exclude"])
    if requester and not asked.spec.policy["requester_may_decide"]:
        barred.add(requester)
    if found := barred & set(reply.by):
        raise InvalidApproval(f"{asked.name}: {', '.join(sorted(found))} may not decide: the requester, or excluded")


def _check_fields(asked: Asked, reply: Reply, *, wants_form: bool) -> None:
    form = (asked.spec.subject["form"] or {"properties": {}}) if wants_form else {"properties": {}}
    if "django_form" in form:
        return
    known = set(form["properties"])
    if unknown := set(reply.data) - known:
        fields = ", ".join(sorted(known)) or "none"
        raise InvalidApproval(f"{asked.name}: the form has no field {min(unknown)!r}; its fields: {fields}")
    if missing := set(form.get("required", ())) - set(reply.data):
        raise InvalidApproval(f"{asked.name}: data has no {min(missing)!r}, which the form requires")


def _names(by: str | Sequence[str]) -> tuple[str, ...]:
    return (by,) if isinstance(by, str) else tuple(by)
