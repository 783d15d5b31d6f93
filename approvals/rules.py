"""Who may do what with a request: one pure table, asked by every page, service, link and the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What can be done with a request."""

    VIEW = "view"
    DECIDE = "decide"
    CLAIM = "claim"
    RELEASE = "release"
    DELEGATE = "delegate"
    COMMENT = "comment"
    ASK = "ask"  # the requester, while the clocks stand still
    REPLY = "reply"
    REASSIGN = "reassign"
    EXTEND = "extend"
    WITHDRAW = "withdraw"
    BREAK_GLASS = "break_glass"


WHEN_CLOSED = frozenset({Action.VIEW, Action.COMMENT})


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody is to a request, at one moment.

    `is_candidate`: among those asked, themselves or by group or permission, and not excluded. `principals`: user ids of
    the candidates on whose behalf they may act, by name. `stands_in`: they act for somebody who is asked, though that
    one may have answered by now, or the request be closed; whoever typed an answer then is told so. `was_excluded`: why
    they may not decide though they are asked, in words; empty when they may, or were never asked.
    """

    is_open: bool
    is_active: bool = True
    is_candidate: bool = False
    principals: dict[int, str] = field(default_factory=dict)
    stands_in: bool = False
    groups: frozenset[str] = frozenset()
    was_excluded: str = ""
    is_requester: bool = False
    is_watcher: bool = False
    has_voted: bool = False
    is_claimed_by_me: bool = False
    is_claimed_by_other: bool = False
    is_question_open: bool = False
    can_be_claimed: bool = False  # one answer decides it, so that one person can take it
    has_requester: bool = False  # somebody who could be asked a question
    may_view_all: bool = False
    may_supervise: bool = False
    may_break_glass: bool = False

    @property
    def may_act(self) -> bool:
        """Whether their answer would count, for themselves or for a colleague."""
        return not self.has_voted and (self.is_candidate or bool(self.principals))

    @property
    def may_view(self) -> bool:
        """Whether the request exists for them at all; otherwise it is a 404."""
        known = self.is_candidate or bool(self.principals) or self.stands_in or bool(self.was_excluded)
        return known or self.is_requester or self.is_watcher or self.has_voted or self._has_rights

    @property
    def _has_rights(self) -> bool:
        return self.may_view_all or self.may_supervise or self.may_break_glass


def allowed_actions(who: Standing) -> frozenset[Action]:
    """Return everything this person may do now."""
    if not who.is_active or not who.may_view:
        return frozenset()
    found = {Action.VIEW, Action.COMMENT} | _as_candidate(who) | _as_requester(who) | _by_right(who)
    return frozenset(found if who.is_open else found & WHEN_CLOSED)


def _as_candidate(who: Standing) -> set[Action]:
    if who.is_claimed_by_other:
        # Somebody works on it and is not overtaken; a supervisor can end the claim.
        return {Action.DELEGATE} if who.is_candidate and who.may_act else set()
    found = {Action.RELEASE} if who.is_claimed_by_me else set()
    if not who.may_act:
        return found
    found.add(Action.DECIDE)
    if who.is_candidate:
        found.add(Action.DELEGATE)
    if who.can_be_claimed and not who.is_claimed_by_me:
        found.add(Action.CLAIM)
    if who.has_requester and not who.is_question_open:
        found.add(Action.ASK)
    return found


def _as_requester(who: Standing) -> set[Action]:
    if not who.is_requester:
        return set()
    return {Action.WITHDRAW, Action.REPLY} if who.is_question_open else {Action.WITHDRAW}


def _by_right(who: Standing) -> set[Action]:
    found: set[Action] = set()
    if who.may_supervise:
        found |= {Action.REASSIGN, Action.EXTEND, Action.WITHDRAW}
        found |= {Action.RELEASE} if who.is_claimed_by_other else set()
        found |= {Action.REPLY} if who.is_question_open else set()
    if who.may_break_glass and not who.is_requester:
        found.add(Action.BREAK_GLASS)
    return found
