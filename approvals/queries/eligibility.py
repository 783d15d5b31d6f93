"""Whose answers count for a request, now: groups, permissions and delegations are looked up at the moment of asking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Permission
from django.db.models import F, Q
from django.utils.translation import gettext as _

from approvals.clock import database_now
from approvals.evaluation import Electorate
from approvals.models import ApprovalRequest, Candidate, Delegation, OutOfOffice, Vote
from approvals.rules import Action, Standing, allowed_actions
from approvals.storage import candidates_of

Person = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody in whose place a person may act."""

    user_id: int
    username: str
    functions: tuple[str, ...]  # empty: all


def standing_of(user: Person, request: ApprovalRequest, now: datetime | None = None) -> Standing:
    """Return what `user` is to `request`, live. Rights that a superuser has only as such do not make a candidate."""
    if not user.is_authenticated or not user.is_active:
        return Standing(is_open=request.is_open, is_active=False)
    return Lookup(request, now or database_now()).standing(user)


def actions_of(user: Person, request: ApprovalRequest, now: datetime | None = None) -> frozenset[Action]:
    """Return what `user` may do with `request` now: what a page offers and a service accepts."""
    return allowed_actions(standing_of(user, request, now))


def electorate_of(request: ApprovalRequest) -> Electorate:
    """Return everybody who may answer, by user id, with the groups they count for: active and not excluded.

    Colleagues who stand in for somebody are not counted; the person they stand in for is.
    """
    entries = list(Candidate.objects.filter(request=request, is_open=True, on_behalf_of=None))
    return electorate_of_entries(entries, excluded=request.excluded_ids)


def electorate_of_entries(entries: Sequence[Candidate], *, excluded: Iterable[int]) -> Electorate:
    """Return the people of a list of candidates, saved or not."""
    found: dict[int, set[str]] = {}
    users = get_user_model()._default_manager.filter(is_active=True)
    direct = [entry.user_id for entry in entries if entry.user_id is not None]
    groups = {entry.group_id: entry.label for entry in entries if entry.group_id is not None}
    if direct:
        for user_id in users.filter(pk__in=direct).values_list("pk", flat=True):
            found.setdefault(user_id, set())
    if groups:
        members = users.filter(groups__in=list(groups)).values_list("pk", "groups")
        for user_id, group_id in members.filter(groups__in=list(groups)):
            found.setdefault(user_id, set()).add(groups[group_id])
    for entry in entries:
        if entry.permission is not None:
            for user_id in holders_of(entry.permission).values_list("pk", flat=True):
                found.setdefault(user_id, set())
    barred = set(excluded)
    return {user_id: frozenset(names) for user_id, names in found.items() if user_id not in barred}


def holders_of(permission: str) -> Any:
    """Return the active users that have the permission themselves or through a group."""
    app_label, _, codename = permission.partition(".")
    of_right = Q(content_type__app_label=app_label, codename=codename)
    rights = Permission.objects.filter(of_right)
    has_it = Q(user_permissions__in=rights) | Q(groups__permissions__in=rights)
    return get_user_model()._default_manager.filter(has_it, is_active=True).distinct()


def permissions_of(user_id: int) -> set[str]:
    """Return the permissions given to a user or their groups; not those of being a superuser."""
    rows = Permission.objects.filter(Q(user=user_id) | Q(group__user=user_id)).annotate(
        app=F("content_type__app_label")
    )
    return {f"{app}.{codename}" for app, codename in rows.values_list("app", "codename").distinct()}


def principals_of(user_id: int, now: datetime) -> list[Principal]:
    """Return the active people in whose place a user may act now: delegations and substitutions."""
    running = Q(ended_at=None, starts_at__lte=now)
    delegated = Delegation.objects.filter(
        running & (Q(ends_at=None) | Q(ends_at__gt=now)), to_user=user_id, from_user__is_active=True
    ).values_list("from_user", "from_user__username", "functions")
    away = OutOfOffice.objects.filter(running, ends_at__gt=now, substitute=user_id, user__is_active=True)
    found = [Principal(each, name, tuple(functions)) for each, name, functions in delegated]
    found += [Principal(each, name, ()) for each, name in away.values_list("user", "user__username")]
    return found


class Lookup:
    """Answers about one request, each part asked for once and only when it matters."""

    def __init__(
        self, request: ApprovalRequest, now: datetime, votes: Sequence[Vote] | None = None, reader: int | None = None
    ) -> None:
        """`reader`: the user who will be asked about first; their membership comes with the list of those asked."""
        self.request = request
        self.now = now
        self._reader = reader
        if reader is None:
            entries, self._memberships = list(Candidate.objects.filter(request=request)), set[int]()
        else:
            entries, self._memberships = candidates_of(request.pk, reader=reader)
        # Of a closed request: who had been asked, for they may go on looking at it.
        self.entries = [entry for entry in entries if entry.is_open or not request.is_open]
        self.votes = list(Vote.objects.filter(request=request)) if votes is None else votes

    def standing(self, user: AbstractBaseUser, *, to_decide: bool = False) -> Standing:
        """Return what the user is to the request.

        `to_decide` leaves out what cannot change whether they may decide for themselves: rights, and colleagues.
        """
        request, own = self.request, user.pk
        is_asked, groups = self.seat(own)
        barred = self.barred(own) if is_asked else ""
        is_candidate = is_asked and not barred and request.is_open
        is_enough = to_decide and is_candidate
        colleagues = {} if is_enough else self.colleagues(own)
        if colleagues and not is_asked:
            barred = self.barred(own)
        claimed = request.claimed_by_id if self._claim_holds() else None
        return Standing(
            is_open=request.is_open,
            is_active=user.is_active,
            is_candidate=is_candidate,
            principals={} if barred else self._principals(colleagues),
            stands_in=bool(colleagues),
            groups=groups,
            was_excluded=barred or ("" if request.is_open or not is_asked else "It is closed."),
            is_requester=request.requester_id == own,
            is_watcher=own in request.watcher_ids,
            has_voted=any(own in (vote.voter_id, vote.seat_id) for vote in self.votes),
            is_claimed_by_me=claimed == own,
            is_claimed_by_other=claimed is not None and claimed != own,
            is_question_open=request.asked_at is not None,
            can_be_claimed=takes_one_answer(request.policy),
            has_requester=request.requester_id is not None,
            **({} if is_enough else _rights(user)),
        )

    def seat(self, user_id: int) -> tuple[bool, frozenset[str]]:
        """Return whether a user is among those asked, in their own right, and for which groups."""
        mine = any(entry.user_id == user_id and entry.on_behalf_of_id is None for entry in self.entries)
        groups = self._groups(user_id)
        return mine or bool(groups) or self._holds_permission(user_id), groups

    def colleagues(self, user_id: int) -> dict[int, str]:
        """Return the people in whose place a user acts among those asked, by name; they may have answered already."""
        found = self._sent_on_by(user_id)
        for each in principals_of(user_id, self.now):
            if not each.functions or self.request.function in each.functions:
                found[each.user_id] = each.username
        named = sorted(found.items(), key=lambda item: item[1])
        return {each: name for each, name in named if self.seat(each)[0]}

    def _principals(self, colleagues: Mapping[int, str]) -> dict[int, str]:
        """In whose place a user may still answer: not of anybody who may not or has."""
        if not self.request.is_open:
            return {}
        taken = {seat for vote in self.votes for seat in (vote.seat_id, vote.voter_id)}
        return {each: name for each, name in colleagues.items() if each not in taken and not self.barred(each)}

    def barred(self, user_id: int) -> str:
        """Return why somebody may not decide this request though they are asked, in words; empty when they may."""
        request = self.request
        if user_id in request.excluded_ids:
            return (
                _("You asked for it.") if user_id == request.requester_id else _("You are excluded from this decision.")
            )
        if request.is_separate and _voted_elsewhere(request, user_id):
            return _("You decided another request of the same process, and each needs somebody else.")
        return ""

    def _sent_on_by(self, user_id: int) -> dict[int, str]:
        senders = [
            entry.on_behalf_of_id for entry in self.entries if entry.user_id == user_id and entry.on_behalf_of_id
        ]
        if not senders:
            return {}
        users = get_user_model()._default_manager.filter(pk__in=senders, is_active=True)
        return dict(users.values_list("pk", "username"))

    def _claim_holds(self) -> bool:
        until = self.request.claimed_until
        return self.request.is_open and until is not None and until > self.now

    def _groups(self, user_id: int) -> frozenset[str]:
        asked = {entry.group_id: entry.label for entry in self.entries if entry.group_id is not None}
        if not asked:
            return frozenset()
        if user_id == self._reader:
            return frozenset(entry.label for entry in self.entries if entry.pk in self._memberships)
        membership = get_user_model().groups.through.objects
        mine = membership.filter(user_id=user_id, group_id__in=list(asked)).values_list("group_id", flat=True)
        return frozenset(asked[group_id] for group_id in mine)

    def _holds_permission(self, user_id: int) -> bool:
        asked = {entry.permission for entry in self.entries if entry.permission is not None}
        return bool(asked) and not asked.isdisjoint(permissions_of(user_id))


def takes_one_answer(policy: Mapping[str, Any]) -> bool:
    """Whether one person's approval decides, so that one person may take the request for themselves."""
    return bool(policy["quorum"]["approve"] == 1)


def _voted_elsewhere(request: ApprovalRequest, user_id: int) -> bool:
    others = ApprovalRequest.objects.filter(execution_id=request.execution_id).exclude(pk=request.pk)
    return Vote.objects.filter(Q(voter=user_id) | Q(seat_id=user_id), request__in=others).exists()


def _rights(user: Any) -> dict[str, bool]:
    return {
        "may_view_all": user.has_perm("approvals.view_approvalrequest"),
        "may_supervise": user.has_perm("approvals.supervise_approvalrequest"),
        "may_break_glass": user.has_perm("approvals.break_glass"),
    }
