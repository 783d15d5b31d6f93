"""Whether the answers so far decide a request. Pure: the same answers give the same verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

VerdictOutcome = Literal["approved", "rejected", "answered"]

Electorate = Mapping[int, frozenset[str]]
"""The people whose answers can count, by user id, with the groups each counts for."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """An answer as it counts: for which seat, of which groups, and what it says (approve, reject or answer)."""

    seat: int
    outcome: str
    choice: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The request is decided; `choice` is the key of the button that decided it."""

    outcome: VerdictOutcome
    choice: str


def needs_electorate(quorum: Mapping[str, Any]) -> bool:
    """Whether the verdict depends on who else may still answer, so that the caller has to find out."""
    return quorum["reject"] is None or not isinstance(quorum["approve"], int)


def evaluate(
    quorum: Mapping[str, Any], ballots: Sequence[Ballot], electorate: Electorate | None = None
) -> Verdict | None:
    """Return the verdict of the answers so far, in the order they came; None while more are needed.

    An answer that is neither yes nor no decides at once; then approvals are counted, then rejections.
    `electorate`: everybody who may still answer or has; needed when `needs_electorate` says so.
    """
    answers = [ballot for ballot in ballots if ballot.outcome == "answer"]
    if answers:
        return Verdict("answered", answers[0].choice)
    yes = [ballot for ballot in ballots if ballot.outcome == "approve"]
    no = [ballot for ballot in ballots if ballot.outcome == "reject"]
    size = len(set(electorate or ()) | {ballot.seat for ballot in ballots})
    if yes and is_met(quorum, {ballot.seat: ballot.groups for ballot in yes}, size):
        return Verdict("approved", yes[-1].choice)
    if quorum["reject"] is not None:
        return Verdict("rejected", no[-1].choice) if len(no) >= quorum["reject"] else None
    if no and not can_be_met(quorum, ballots, electorate or {}):
        return Verdict("rejected", no[-1].choice)
    return None


def can_be_met(quorum: Mapping[str, Any], ballots: Iterable[Ballot], electorate: Electorate) -> bool:
    """Whether approval is still possible if everybody who has not answered agrees."""
    given = list(ballots)
    voted = {ballot.seat for ballot in given}
    agreeing = {ballot.seat: ballot.groups for ballot in given if ballot.outcome == "approve"}
    agreeing |= {seat: groups for seat, groups in electorate.items() if seat not in voted}
    return is_met(quorum, agreeing, len(set(electorate) | voted))


def is_met(quorum: Mapping[str, Any], agreeing: Electorate, size: int) -> bool:
    """Whether these people are enough, out of `size` whose answers can count."""
    if len(agreeing) < needed(quorum, size):
        return False
    return _fills_groups(quorum.get("per_group") or {}, agreeing)


def needed(quorum: Mapping[str, Any], size: int) -> int:
    """How many have to agree, of `size` people: at least one."""
    approve = quorum["approve"]
    if isinstance(approve, int):
        return approve
    if approve == "all":
        return max(1, size)
    return max(1, math.ceil(size * int(approve.removesuffix("%")) / 100))


def _fills_groups(per_group: Mapping[str, int], agreeing: Electorate) -> bool:
    """Whether each place of each group gets a person of its own: somebody in two groups counts for one of them."""
    places = [group for group, count in per_group.items() for _ in range(count)]
    holder: dict[int, int] = {}  # place taken by a person

    def place(index: int, tried: set[int]) -> bool:
        # Augmenting paths: take a free person, or move the holder of a place to another one.
        for person, groups in agreeing.items():
            if places[index] not in groups or person in tried:
                continue
            tried.add(person)
            if person not in holder or place(holder[person], tried):
                holder[person] = index
                return True
        return False

    return all(place(index, set()) for index in range(len(places)))
