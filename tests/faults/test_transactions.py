"""Rows that a transaction writes are there exactly once, wherever its process dies."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group

from tests.faults.stack import Run, Stack, errors_of_invocations, until

pytestmark = pytest.mark.process


@pytest.mark.parametrize("place", ["before", "recorded", "committed"])
def test_a_row_is_written_exactly_once_wherever_the_process_is_killed(
    stack: Stack, run: Callable[..., Run], place: str
) -> None:
    receipt = uuid4().hex
    group = stack.start_group(queue="slow", failpoints=f"transaction.{place}=kill")
    try:
        paying = run("pays", receipt=receipt)
        # Behind the commit the process dies once; before it, each one that follows dies too.
        until(lambda: errors_of_invocations(paying), "the process died")
    finally:
        group.kill()
    stack.start_group(queue="slow").kill_after(paying.finish)

    assert Group.objects.filter(name__startswith=receipt).count() == 1
    assert paying.bodies()[-1] == "then paid"
    if place == "committed":
        assert paying.bodies() == ["pay", "then paid"]


def test_a_commit_whose_reply_is_lost_is_not_repeated(stack: Stack, run: Callable[..., Run]) -> None:
    receipt = uuid4().hex
    group = stack.start_group(queue="slow", failpoints="transaction.committed=lose_reply@1")
    try:
        paying = run("pays", receipt=receipt)
        paying.finish()
    finally:
        group.kill()

    assert Group.objects.filter(name__startswith=receipt).count() == 1
    assert paying.bodies() == ["pay", "then paid"]
    assert errors_of_invocations(paying) == []
