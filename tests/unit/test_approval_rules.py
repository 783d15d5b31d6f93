"""The pure parts of approvals: verdicts and permissions, for every input that Hypothesis can think of."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.evaluation import Ballot, can_be_met, evaluate, is_met, needed
from approvals.rules import WHEN_CLOSED, Action, Standing, allowed_actions
from approvals.sdk.policy import Quorum

GROUPS = ("legal", "finance", "tech")

groups = st.frozensets(st.sampled_from(GROUPS))
electorates = st.dictionaries(st.integers(1, 7), groups, min_size=1, max_size=7)
quorums = st.one_of(
    st.builds(lambda n, r: Quorum(n, r).as_json(), st.integers(1, 5), st.sampled_from([1, 2, None])),
    st.sampled_from([Quorum.of("all").as_json(), Quorum.of("60%").as_json(), Quorum.of("1%").as_json()]),
    st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 2), min_size=1).map(lambda d: Quorum.of(d).as_json()),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[str, Any], dict[int, frozenset[str]], list[Ballot]]:
    """A quorum, the people, and the answers of some of them in some order."""
    people = draw(electorates)
    voters = draw(st.lists(st.sampled_from(sorted(people)), unique=True))
    outcomes = [draw(st.sampled_from(["approve", "reject"])) for _ in voters]
    ballots = [Ballot(seat, said, said, people[seat]) for seat, said in zip(voters, outcomes, strict=True)]
    return draw(quorums), people, ballots


def enough_by_hand(quorum: dict[str, Any], agreeing: dict[int, frozenset[str]], size: int) -> bool:
    """Every way to give each place of each group a person of its own, tried out."""
    wanted = quorum["approve"]
    count = wanted if isinstance(wanted, int) else size if wanted == "all" else math.ceil(size * int(wanted[:-1]) / 100)
    if len(agreeing) < max(1, count):
        return False
    places = [group for group, number in quorum["per_group"].items() for _ in range(number)]
    return any(
        all(place in agreeing[person] for place, person in zip(places, people, strict=True))
        for people in itertools.permutations(agreeing, len(places))
    )


@given(situations())
def test_enough_is_what_trying_every_assignment_by_hand_says(situation: Any) -> None:
    quorum, people, ballots = situation
    agreeing = {ballot.seat: ballot.groups for ballot in ballots if ballot.outcome == "approve"}
    assert is_met(quorum, agreeing, len(people)) == enough_by_hand(quorum, agreeing, len(people))


@given(situations())
def test_approved_means_enough_and_rejected_means_enough_against_or_no_way_left(situation: Any) -> None:
    quorum, people, ballots = situation
    verdict = evaluate(quorum, ballots, people)
    yes = {ballot.seat: ballot.groups for ballot in ballots if ballot.outcome == "approve"}
    no = sum(ballot.outcome == "reject" for ballot in ballots)
    if verdict is None:
        assert quorum["reject"] is None or no < quorum["reject"]
        assert not yes or not is_met(quorum, yes, len(people))
    elif verdict.outcome == "approved":
        assert enough_by_hand(quorum, yes, len(people))
    elif quorum["reject"] is None:
        assert not can_be_met(quorum, ballots, people)
    else:
        assert no >= quorum["reject"]


@given(situations(), st.randoms())
def test_the_order_of_answers_never_turns_yes_into_no(situation: Any, random: Any) -> None:
    quorum, people, ballots = situation
    shuffled = list(ballots)
    random.shuffle(shuffled)
    first, second = evaluate(quorum, ballots, people), evaluate(quorum, shuffled, people)
    assert (first and first.outcome) == (second and second.outcome)


@given(situations())
def test_as_long_as_nothing_is_decided_agreement_of_the_rest_or_their_refusal_decides(situation: Any) -> None:
    quorum, people, ballots = situation
    if evaluate(quorum, ballots, people) is not None or not can_be_met(quorum, (), people):
        return
    voted = {ballot.seat for ballot in ballots}
    rest = [Ballot(seat, "approve", "approve", each) for seat, each in people.items() if seat not in voted]
    verdict = evaluate(quorum, [*ballots, *rest], people)
    if can_be_met(quorum, ballots, people):
        assert verdict is not None
        assert verdict.outcome == "approved"


@given(situations())
def test_an_answer_that_is_neither_yes_nor_no_decides_at_once(situation: Any) -> None:
    quorum, people, ballots = situation
    verdict = evaluate(quorum, [*ballots, Ballot(99, "answer", "changes")], people)
    assert verdict is not None
    assert (verdict.outcome, verdict.choice) == ("answered", "changes")


@given(quorums, st.integers(0, 50))
def test_nothing_is_ever_approved_by_nobody(quorum: dict[str, Any], size: int) -> None:
    assert needed(quorum, size) >= 1
    assert not is_met(quorum, {}, size)


standings = st.builds(
    Standing,
    is_open=st.booleans(),
    is_active=st.booleans(),
    is_candidate=st.booleans(),
    principals=st.dictionaries(st.integers(1, 3), st.just("ana"), max_size=2),
    was_excluded=st.sampled_from(["", "You asked for it."]),
    is_requester=st.booleans(),
    is_watcher=st.booleans(),
    has_voted=st.booleans(),
    is_claimed_by_me=st.booleans(),
    is_claimed_by_other=st.booleans(),
    is_question_open=st.booleans(),
    can_be_claimed=st.booleans(),
    has_requester=st.booleans(),
    may_view_all=st.booleans(),
    may_supervise=st.booleans(),
    may_break_glass=st.booleans(),
)


@given(standings)
def test_whoever_may_do_anything_may_see_it_and_a_closed_request_only_be_talked_about(who: Standing) -> None:
    actions = allowed_actions(who)
    assert not actions or Action.VIEW in actions
    assert who.is_open or actions <= WHEN_CLOSED
    assert who.is_active or not actions


@given(standings)
def test_nobody_decides_who_is_not_asked_has_answered_or_would_overtake_a_colleague(who: Standing) -> None:
    if Action.DECIDE in allowed_actions(who):
        assert who.is_candidate or who.principals
        assert not who.has_voted
        assert not who.is_claimed_by_other


@given(standings)
def test_rights_of_supervisors_never_let_them_decide_as_if_they_were_asked(who: Standing) -> None:
    without = replace(who, may_view_all=False, may_supervise=False, may_break_glass=False)
    assert (Action.DECIDE in allowed_actions(who)) == (Action.DECIDE in allowed_actions(without))


@pytest.mark.parametrize("requester", [True, False])
def test_nobody_breaks_the_glass_for_their_own_request(requester: bool) -> None:
    who = Standing(is_open=True, may_break_glass=True, is_requester=requester)
    assert (Action.BREAK_GLASS in allowed_actions(who)) == (not requester)
