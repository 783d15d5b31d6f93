"""A scheduler says that it lives, and that it stopped."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from durable_engine.models import SchedulerProcess
from durable_engine.queries.schedulers import list_schedulers
from durable_engine.scheduler.presence import EVERY_SECONDS, Presence
from durable_engine.scheduler.sweep import Round
from tests.integration.scheduler.conftest import Clock


def test_it_writes_its_row_now_and_then_with_the_slowest_round_since(this_round: Round, clock: Clock) -> None:
    presence = Presence(clock)
    presence.round_took(this_round.connection, 0.01)
    presence.round_took(this_round.connection, 3.0)
    assert [row.slowest_round_seconds for row in SchedulerProcess.objects.all()] == [0.01]
    clock.now += EVERY_SECONDS
    presence.round_took(this_round.connection, 0.02)
    (view,) = list_schedulers()
    assert (view.slowest_round_seconds, view.is_live) == (3.0, True)
    presence.end(this_round.connection)
    assert not list_schedulers()[0].is_live


def test_rows_of_schedulers_long_gone_are_removed(this_round: Round, clock: Clock) -> None:
    gone = SchedulerProcess.objects.create(hostname="host", pid=1, last_seen=timezone.now() - timedelta(days=8))
    Presence(clock).round_took(this_round.connection, 0.01)
    assert not SchedulerProcess.objects.filter(pk=gone.pk).exists()
