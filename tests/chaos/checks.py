"""Every invariant, by the name under which a run reports it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.chaos import invariants_clients, invariants_effects, invariants_history
from tests.chaos.world import World

Invariant = Callable[[World], Iterator[str]]


def _name(check: Invariant) -> str:
    return f"{check.__name__.replace('_', ' ')} ({(check.__doc__ or '').partition(':')[0]})"


INVARIANTS: dict[str, Invariant] = {
    _name(check): check
    for check in (
        invariants_clients.acknowledged_starts_exist_once,
        invariants_clients.equal_starts_are_one_execution,
        invariants_clients.closed_stays_closed,
        invariants_clients.first_completion_wins,
        invariants_clients.stopped_is_what_clients_were_told,
        invariants_history.histories_have_no_gap,
        invariants_history.attempts_count_up,
        invariants_history.fences_only_rise,
        invariants_history.holders_do_not_overlap,
        invariants_history.timers_fire_once_and_not_early,
        invariants_history.nothing_sleeps_over_an_event,
        invariants_history.no_execution_is_stranded,
        invariants_history.the_end_is_the_end,
        invariants_history.invocations_end_once,
        invariants_history.times_follow_the_order,
        invariants_effects.replays_deliver_the_same,
        invariants_effects.bodies_run_as_often_as_promised,
        invariants_effects.nothing_runs_after_its_success,
        invariants_effects.waits_are_seen_in_time,
        invariants_effects.programs_come_to_what_they_must,
        invariants_effects.poison_is_paused,
        invariants_effects.stopped_runs_no_further,
        invariants_effects.bodies_follow_the_program,
        invariants_effects.logs_are_clean,
    )
}
