"""The inbox: which requests concern a person, and why. Each page is one query, whatever it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from zlib import crc32

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Value

from approvals.clock import database_now
from approvals.models import ApprovalEvent, ApprovalRequest, Candidate, RequestState, Vote
from approvals.queries.callbacks import newest_open
from approvals.queries.eligibility import permissions_of, principals_of
from durable_engine.queries.any_of import AnyOf
from durable_engine.queries.paging import Page, page_of

ROWS_A_PAGE: Final = 50
# Counts are shown as "99+" beyond that.
MOST_COUNTED: Final = 100
# The functions to filter by are those of so many requests.
MOST_LOOKED_AT: Final = 200
# So many requests of a list are looked through, from its beginning, for what no index finds.
MOST_SEARCHED: Final = 5_000


class Box(StrEnum):
    """The lists of the inbox.

    MINE: asked by name, or taken by me. GROUPS: asked through a group or permission. WAITING: mine to wait for, as I
    asked for it or have answered and others have not. DELEGATED: asked in a colleague's place. DONE: what I answered,
    or asked for, and is closed.
    """

    MINE = "mine"
    GROUPS = "groups"
    WAITING = "waiting"
    DELEGATED = "delegated"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class InboxFilters:
    """What narrows a list. Empty values leave it as it is.

    `text` is searched in title, function and execution name; `state` is only of use for DONE. All but the times look at
    the first 5,000 requests of the list: no index finds what matches among more.
    """

    function: str = ""
    requester: str = ""
    text: str = ""
    state: str = ""
    overdue: bool = False
    due_before: datetime | None = None
    bulk: bool = False

    @property
    def is_search(self) -> bool:
        """Whether requests have to be looked through."""
        return bool(self.function or self.requester or self.text.strip() or self.state or self.bulk)


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One line of the inbox. Times are None where there is none."""

    id: UUID
    title: str
    name: str
    function: str
    execution_id: UUID
    execution_name: str
    requester_label: str
    state: str
    outcome: str
    health: str
    digest: str
    choices: list[dict[str, Any]]
    has_form: bool
    is_bulk: bool
    quorum: Mapping[str, Any]
    opened_at: datetime
    urgent_at: datetime
    due_at: datetime | None
    expires_at: datetime | None
    closed_at: datetime | None
    closed_by_label: str
    claimed_by: str
    is_claimed_by_me: bool
    is_question_open: bool
    is_overdue: bool


def inbox(
    user: AbstractBaseUser | Reader,
    box: Box,
    cursor: str | None = None,
    *,
    filters: InboxFilters | None = None,
    limit: int = ROWS_A_PAGE,
) -> Page[InboxRow]:
    """Return a page of a list: most urgent first, so overdue first; DONE newest first."""
    who = reader_of(user)
    field, descending = ("closed_at", True) if box is Box.DONE else ("urgent_at", False)
    rows = _narrowed(who, _rows(who, box), filters or InboxFilters(), order="-closed_at" if descending else "urgent_at")
    return page_of(_values(rows), cursor, limit, field=field, descending=descending, make=lambda row: _view(who, row))


def inbox_counts(user: AbstractBaseUser | Reader, *, known: Mapping[Box, int] | None = None) -> dict[Box, int]:
    """Return how many requests are in each list that asks for something, up to 100; DONE is not counted.

    `known` are those that a page knows already.
    """
    who, counts = reader_of(user), dict(known or {})
    if Box.DELEGATED not in counts and not _represents_anybody(who):
        counts[Box.DELEGATED] = 0
    asked = [box for box in (Box.MINE, Box.GROUPS, Box.WAITING, Box.DELEGATED) if box not in counts]
    if asked:
        first, *rest = (_marks(who, box) for box in asked)
        found = Counter(first.union(*rest, all=True) if rest else first)
        counts |= {box: found[box.value] for box in asked}
    return counts


def _represents_anybody(who: Reader) -> bool:
    """Whether there can be anything to decide in a colleague's place: for most people not, and that is asked sooner."""
    return bool(who.principals) or _sent_on_to(who).exists()


def _marks(who: Reader, box: Box) -> Any:
    """The name of a list once for each of its requests, up to 100: several lists are counted by one query."""
    return _rows(who, box).order_by().annotate(box=Value(box.value)).values_list("box", flat=True)[:MOST_COUNTED]


def inbox_mark(user: AbstractBaseUser, *, with_callbacks: bool) -> str:
    """Return a text that changes when any request does, by one read; with callbacks when a new one opens too."""
    marks: dict[str, Any] = {"newest": Subquery(ApprovalEvent.objects.order_by("-pk").values("pk")[:1])}
    if with_callbacks:
        marks["callback"] = Subquery(newest_open())
    row = get_user_model()._default_manager.filter(pk=user.pk).annotate(**marks).values_list(*marks).first()
    return f"{crc32(repr(row).encode()):x}"


def first_waiting(user: AbstractBaseUser | Reader) -> Box:
    """Return the first list in which something waits for the person's decision; MINE when nothing does."""
    who = reader_of(user)
    boxes = (Box.MINE, Box.GROUPS, Box.DELEGATED)
    return next((box for box in boxes if _rows(who, box).order_by().exists()), Box.MINE)


def pending_count(user: AbstractBaseUser | Reader) -> int:
    """Return how many requests wait for this person, up to 100: for the navigation."""
    who = reader_of(user)
    rows = _pending(who).filter(_asked(_named(who) | _grouped(who)))
    return len(_not_answered(who, rows).order_by().values_list("pk", flat=True)[:MOST_COUNTED])


def functions_asking(user: AbstractBaseUser | Reader) -> list[str]:
    """Return the functions of the most urgent requests a person is asked, for the filter: one bounded query."""
    who = reader_of(user)
    asked = _pending(who).filter(_asked(_named(who) | _grouped(who)))
    urgent = asked.order_by("urgent_at", "id").values_list("function", flat=True)
    return sorted(set(urgent[:MOST_LOOKED_AT]))


@dataclass(frozen=True, slots=True)
class Reader:
    """A person as the lists look them up: three small queries."""

    user_id: int
    username: str
    group_ids: tuple[int, ...]
    permissions: tuple[str, ...]
    principals: Mapping[int, tuple[str, ...]]  # colleagues by id, with the functions it is limited to
    permissions_of_principals: Mapping[int, tuple[str, ...]]
    now: datetime

    @classmethod
    def of(cls, user: AbstractBaseUser) -> Reader:
        """Look the person up."""
        now = database_now()
        principals: dict[int, tuple[str, ...]] = {}
        for each in principals_of(user.pk, now):
            known = principals.get(each.user_id)
            both_limited = known is None or (known and each.functions)
            principals[each.user_id] = (*(known or ()), *each.functions) if both_limited else ()
        groups = get_user_model().groups.through.objects.filter(user_id=user.pk)
        asked = _asked_permissions()
        held = {each: tuple(sorted(asked & permissions_of(each))) if asked else () for each in (user.pk, *principals)}
        return cls(
            user.pk,
            user.get_username(),
            tuple(groups.values_list("group_id", flat=True)),
            held.pop(user.pk),
            principals,
            held,
            now,
        )


def reader_of(user: AbstractBaseUser | Reader) -> Reader:
    """Look the person up, unless a page that asks several of these functions has done so."""
    return user if isinstance(user, Reader) else Reader.of(user)


def _asked_permissions() -> set[str]:
    names = set(
        Candidate.objects.filter(is_open=True, permission__isnull=False).order_by().values_list("permission", flat=True)
        .distinct()[:1_000]
    )  # fmt: skip
    return {name for name in names if name is not None}


def _rows(who: Reader, box: Box) -> QuerySet[ApprovalRequest]:
    match box:
        case Box.MINE:
            claimed = ApprovalRequest.objects.filter(claimed_by=who.user_id, state=RequestState.PENDING).values("pk")
            by_name = _open_entries().filter(_named(who)).values("request")
            return _not_answered(who, _pending(who).filter(pk__in=by_name.union(claimed)))
        case Box.GROUPS:
            rows = _pending(who).filter(_asked(_grouped(who))).exclude(_asked(_named(who)))
            return _not_answered(who, rows)
        case Box.WAITING:
            pending = ApprovalRequest.objects.filter(state=RequestState.PENDING)
            wanted, answered = pending.filter(requester=who.user_id).values("pk"), _voted(who)
            return pending.filter(pk__in=wanted.union(answered.filter(request__state=RequestState.PENDING)))
        case Box.DELEGATED:
            return _delegated(who)
        case Box.DONE:
            closed = ApprovalRequest.objects.exclude(state=RequestState.PENDING)
            mine = closed.filter(Q(requester=who.user_id) | Q(closed_by=who.user_id)).values("pk")
            return closed.filter(pk__in=mine.union(_voted(who)))


def _pending(who: Reader) -> QuerySet[ApprovalRequest]:
    """What is open and could be decided by this person if they are asked."""
    voted_in_execution = Vote.objects.filter(
        Q(voter=who.user_id) | Q(seat_id=who.user_id), request__execution_id=OuterRef("execution_id")
    )
    return (
        ApprovalRequest.objects.filter(state=RequestState.PENDING)
        .exclude(excluded_ids__contains=[who.user_id])
        .exclude(Q(is_separate=True) & Exists(voted_in_execution.exclude(request=OuterRef("pk"))))
    )


def _not_answered(who: Reader, rows: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
    answered = Vote.objects.filter(Q(voter=who.user_id) | Q(seat_id=who.user_id), request=OuterRef("pk"))
    return rows.exclude(Exists(answered))


def _voted(who: Reader) -> Any:
    return Vote.objects.filter(voter=who.user_id).values("request")


def _open_entries() -> QuerySet[Candidate]:
    return Candidate.objects.filter(is_open=True)


def _sent_on_to(who: Reader) -> QuerySet[Candidate]:
    return _open_entries().filter(user=who.user_id, on_behalf_of__isnull=False)


def _named(who: Reader) -> Q:
    return Q(user=who.user_id, on_behalf_of=None)


def _grouped(who: Reader) -> Q:
    grouped = Q(AnyOf(F("group_id"), list(who.group_ids)))
    return grouped | Q(permission__in=who.permissions) if who.permissions else grouped


def _asked(entries: Q) -> Q:
    """One EXISTS with the alternatives inside: Postgres makes a join of it, which it can't of several."""
    return Q(Exists(_open_entries().filter(entries, request=OuterRef("pk"))))


def _delegated(who: Reader) -> QuerySet[ApprovalRequest]:
    """What colleagues are asked in whose place this person may answer, or have sent on to them."""
    concerned = [_sent_on_to(who).values("request")]
    for principal, functions in who.principals.items():
        groups = get_user_model().groups.through.objects.filter(user_id=principal)
        asked = Q(user=principal, on_behalf_of=None) | Q(group__in=groups.values("group_id"))
        asked |= Q(permission__in=who.permissions_of_principals[principal])
        seated = Vote.objects.filter(Q(seat_id=principal) | Q(voter=principal), request=OuterRef("request"))
        entries = _open_entries().filter(asked).exclude(Exists(seated))
        entries = entries.exclude(request__excluded_ids__contains=[principal])
        if functions:
            entries = entries.filter(request__function__in=functions)
        concerned.append(entries.values("request"))
    found = concerned[0].union(*concerned[1:]) if len(concerned) > 1 else concerned[0]
    directly = _asked(_named(who) | _grouped(who))
    return _not_answered(who, _pending(who).filter(pk__in=found).exclude(directly))


def _narrowed(
    who: Reader, rows: QuerySet[ApprovalRequest], wanted: InboxFilters, *, order: str
) -> QuerySet[ApprovalRequest]:
    # `urgent_at` is `due_at` where there is one, and has the index.
    if wanted.overdue:
        rows = rows.filter(urgent_at__lte=who.now, due_at__lte=who.now, asked_at=None)
    if wanted.due_before is not None:
        rows = rows.filter(urgent_at__lt=wanted.due_before, due_at__lt=wanted.due_before)
    if wanted.is_search:
        rows = ApprovalRequest.objects.filter(pk__in=rows.order_by(order).values("pk")[:MOST_SEARCHED])
    if wanted.function:
        rows = rows.filter(function=wanted.function)
    if wanted.requester:
        rows = rows.filter(requester_label__iexact=wanted.requester)
    if wanted.state:
        rows = rows.filter(state=wanted.state)
    if wanted.bulk:
        rows = rows.filter(form=None, policy__bulk=True)
    for word in wanted.text.replace("\x00", "").split()[:5]:
        rows = rows.filter(Q(title__icontains=word) | Q(function__icontains=word) | Q(execution_name__icontains=word))
    return rows


_COLUMNS = (
    "id", "title", "name", "function", "execution_id", "execution_name", "requester_label", "state", "outcome",
    "health", "digest", "choices", "opened_at", "urgent_at", "due_at", "expires_at", "closed_at", "closed_by_label",
)  # fmt: skip


def _values(rows: QuerySet[ApprovalRequest]) -> Any:
    return rows.annotate(
        has_form=~Q(form=None),
        is_bulk=F("policy__bulk"),
        quorum=F("policy__quorum"),
        claimant=F(f"claimed_by__{get_user_model().USERNAME_FIELD}"),
    ).values_list(
        *_COLUMNS, "has_form", "is_bulk", "quorum", "claimant", "claimed_by_id", "claimed_until", "asked_at", named=True
    )


def _view(who: Reader, row: Any) -> InboxRow:
    is_claimed = row.claimed_until is not None and row.claimed_until > who.now
    return InboxRow(
        **{name: getattr(row, name) for name in _COLUMNS},
        has_form=row.has_form,
        is_bulk=bool(row.is_bulk) and not row.has_form,
        quorum=row.quorum,
        claimed_by=row.claimant or "" if is_claimed else "",
        is_claimed_by_me=is_claimed and row.claimed_by_id == who.user_id,
        is_question_open=row.asked_at is not None,
        is_overdue=row.closed_at is None and row.asked_at is None and row.due_at is not None and row.due_at <= who.now,
    )
