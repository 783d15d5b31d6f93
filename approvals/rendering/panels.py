"""What other pages show of approvals: who is awaited for an execution, and what waits for the reader."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User

from approvals.models import ApprovalRequest, Candidate, Vote
from approvals.queries.inbox import Box, InboxRow, Reader, inbox
from approvals.queries.requests import requests_of_execution

MOST_OF_AN_EXECUTION = 10
MOST_WAITING = 5


@dataclass(frozen=True, slots=True)
class Gate:
    """One approval of an execution, for somebody who looks at the execution.

    `title` is empty for people for whom the request does not exist: they see only that the operation waits, and for
    whom.
    """

    id: UUID
    name: str
    title: str
    state: str
    is_open: bool
    awaited: str
    opened_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    closed_by: str
    given: int
    wanted: int


def gates_of(execution_id: UUID, user: User) -> tuple[list[Gate], int]:
    """Return the newest approvals of an execution, open ones first, and how many more there are.

    One query for an execution without approvals, otherwise a fixed number.
    """
    requests = requests_of_execution(execution_id)
    if not requests:
        return [], 0
    requests.sort(key=lambda each: (not each.is_open, -each.opened_at.timestamp()))
    shown = requests[:MOST_OF_AN_EXECUTION]
    entries = list(Candidate.objects.filter(request__in=shown).order_by("pk"))
    votes = list(Vote.objects.filter(request__in=shown))
    reader = Reader.of(user)
    sees_all = user.has_perm("approvals.view_approvalrequest") or user.has_perm("durable_engine.view_payload")
    gates = [
        _gate(
            each,
            [entry for entry in entries if entry.request_id == each.pk],
            [vote for vote in votes if vote.request_id == each.pk],
            None if sees_all else reader,
        )
        for each in shown
    ]
    return gates, len(requests) - len(shown)


def _gate(request: ApprovalRequest, entries: Sequence[Candidate], votes: Sequence[Vote], reader: Reader | None) -> Gate:
    is_known = reader is None or _takes_part(reader, request, entries, votes)
    quorum = request.policy.get("quorum", {}).get("approve", 1)
    return Gate(
        id=request.pk,
        name=request.name,
        title=request.title if is_known else "",
        state=request.state if not request.is_open or request.asked_at is None else "QUESTION",
        is_open=request.is_open,
        awaited=_names(request, entries),
        opened_at=request.opened_at,
        due_at=request.due_at,
        closed_at=request.closed_at,
        closed_by=request.closed_by_label,
        given=sum(vote.outcome == "approve" for vote in votes),
        wanted=quorum if isinstance(quorum, int) else 0,
    )


def _takes_part(reader: Reader, request: ApprovalRequest, entries: Iterable[Candidate], votes: Iterable[Vote]) -> bool:
    people = {request.requester_id, *request.watcher_ids, *(vote.voter_id for vote in votes)}
    return reader.user_id in people or any(
        entry.user_id == reader.user_id
        or entry.group_id in reader.group_ids
        or entry.permission in reader.permissions
        or entry.user_id in reader.principals
        for entry in entries
    )


def _names(request: ApprovalRequest, entries: Iterable[Candidate]) -> str:
    """Who is awaited: the requester while a question is open, otherwise those who are asked."""
    if request.asked_at is not None:
        return request.requester_label
    return ", ".join(dict.fromkeys(entry.label for entry in entries if entry.is_open))


def waiting_for_reader(reader: Reader) -> list[InboxRow]:
    """Return the most urgent requests a person may decide: those that ask them by name first."""
    rows = list(inbox(reader, Box.MINE, limit=MOST_WAITING).items)
    if len(rows) < MOST_WAITING:
        rows += inbox(reader, Box.GROUPS, limit=MOST_WAITING - len(rows)).items
    return rows
