"""Each invariant holds in a sound world and names what is wrong in a broken one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos import invariants_clients as clients
from tests.chaos import invariants_effects as effects
from tests.chaos import invariants_history as history
from tests.chaos import logs
from tests.chaos.checks import INVARIANTS, Invariant
from tests.chaos.programs import DOOMED, Generator, expected_operations, walk
from tests.chaos.sound_world import BEGAN, ONE, POISON, PROGRAM, TWO, body, completed, event, request, sound_world
from tests.chaos.world import CallbackRow, EventRow, Sample, TimerRow, World


@pytest.fixture
def world() -> World:
    return sound_world()


def change_execution(world: World, id_: str, **changes: Any) -> None:
    world.executions[id_] = replace(world.executions[id_], **changes)


def change_event(world: World, number: int, id_: str = ONE, **changes: Any) -> None:
    world.events[id_][number - 1] = replace(world.events[id_][number - 1], **changes)


def insert_event(world: World, number: int, row: EventRow) -> None:
    rows = [*world.events[ONE][: number - 1], row, *world.events[ONE][number - 1 :]]
    world.events[ONE] = [replace(each, event_id=at) for at, each in enumerate(rows, start=1)]
    change_execution(world, ONE, last_event_id=len(rows))


@pytest.mark.parametrize("name", list(INVARIANTS))
def test_nothing_is_wrong_in_a_sound_world(world: World, name: str) -> None:
    assert list(INVARIANTS[name](world)) == []


def lose_a_start(world: World) -> None:
    del world.executions[ONE]


def start_twice(world: World) -> None:
    world.executions["copy"] = replace(world.executions[ONE], id="copy")


def accept_another_input(world: World) -> None:
    world.requests.append(request("start", "p1", input="{}", execution_id=ONE))


def answer_with_another_id(world: World) -> None:
    world.requests.append(request("start", "p1", input=json.dumps(PROGRAM), execution_id=TWO))


def reopen(world: World) -> None:
    change_execution(world, ONE, last_event_id=14)


def accept_two_completions(world: World) -> None:
    world.requests.append(request("complete", f"{ONE}/3", answer="FAILED", execution_id=ONE))


def let_the_second_completion_win(world: World) -> None:
    change_event(world, 11, payload="no")


def complete_unasked(world: World) -> None:
    world.requests = [each for each in world.requests if each.kind != "complete"]


def tell_the_loser_something_else(world: World) -> None:
    world.requests.append(request("complete", f"{ONE}/3", "fail", answer="FAILED", execution_id=ONE))


def undo_a_stop(world: World) -> None:
    change_execution(world, TWO, status="SUCCEEDED")


def skip_an_event_id(world: World) -> None:
    del world.events[ONE][4]


def end_a_step_twice(world: World) -> None:
    insert_event(world, 4, event(4, "StepSucceeded", "1", 0.015, name="step-1", attempt=1))


def record_an_attempt_twice(world: World) -> None:
    failed = event(3, "StepFailed", "1", name="step-1", attempt=1, details={"next_attempt_delay_seconds": 0})
    insert_event(world, 3, failed)


def write_after_a_takeover(world: World) -> None:
    change_event(world, 5, fence=None, error="{}")
    change_event(world, 7, fence=1)


def write_under_an_ungranted_fence(world: World) -> None:
    change_execution(world, ONE, fence=2)


def interleave_two_holders(world: World) -> None:
    change_event(world, 9, fence=1)


def fire_early(world: World) -> None:
    change_event(world, 6, at=BEGAN + 0.4)


def fire_twice(world: World) -> None:
    insert_event(world, 7, event(7, "WaitSucceeded", "2", 0.525, name="wait-2", fence=None))


def sleep_over_a_completion(world: World) -> None:
    del world.events[ONE][11:]
    change_execution(world, ONE, status="SUSPENDED", last_event_id=11, closed_at=None)


def sleep_without_an_alarm(world: World) -> None:
    del world.events[ONE][10:]
    change_execution(world, ONE, status="SUSPENDED", last_event_id=10, closed_at=None)


def strand_an_execution(world: World) -> None:
    change_execution(world, ONE, status="RUNNING", worker_id="w", closed_at=None)


def keep_what_a_lost_worker_held(world: World) -> None:
    world.samples.append(Sample(ONE, lost_for=60.0))


def write_after_the_end(world: World) -> None:
    insert_event(world, 14, event(14, "StepStarted", "5", 0.8, name="late", fence=3))


def leave_a_timer(world: World) -> None:
    world.timers.append(TimerRow(TWO, "2", "wait"))


def leave_a_callback_open(world: World) -> None:
    world.callbacks.append(CallbackRow("d", TWO, "2", "STARTED"))


def complete_an_invocation_twice(world: World) -> None:
    change_event(world, 10, details={"request_id": "r5"})


def go_back_in_time(world: World) -> None:
    change_event(world, 9, at=BEGAN + 0.1)


def deliver_another_value(world: World) -> None:
    world.ledger.append(body(ONE, "step-1", 0.6, 3, phase="seen", hash_="other"))


def run_an_at_most_once_body_twice(world: World) -> None:
    world.ledger.append(body(ONE, "step-4", 0.549, fence=3))


def run_a_body_twice_under_one_lease(world: World) -> None:
    world.ledger.append(body(ONE, "step-1", 0.005))


def succeed_without_a_body(world: World) -> None:
    del world.ledger[0]


def run_a_body_after_its_success(world: World) -> None:
    world.ledger.append(body(ONE, "step-1", 0.54, fence=2))


def go_on_before_the_wait_is_over(world: World) -> None:
    world.ledger[3] = replace(world.ledger[3], time=BEGAN + 0.3)


def return_another_result(world: World) -> None:
    change_event(world, 13, payload="[]")


def lose_an_operation(world: World) -> None:
    world.events[ONE] = [each for each in world.events[ONE] if each.operation_id != "1"]


def end_with_another_status(world: World) -> None:
    change_execution(world, ONE, status="FAILED")


def never_pause_the_poison(world: World) -> None:
    change_execution(world, POISON, status="PENDING")


def pause_the_poison_late(world: World) -> None:
    world.events[POISON].append(replace(completed(4, 0.3, fence=None, error="{}"), execution_id=POISON))


def run_on_after_a_stop(world: World) -> None:
    world.ledger += [body(TWO, "step-2", 0.04), body(TWO, "step-2", 0.05)]


def run_anew_after_a_stop(world: World) -> None:
    world.ledger.append(body(TWO, "step-2", 0.05, fence=2))


def begin_out_of_order(world: World) -> None:
    world.ledger.append(body(ONE, "step-1", 0.6, fence=2))


def log_a_deadlock(world: World) -> None:
    world.log_problems.append("postgres.log: ERROR: deadlock detected")


Break = Callable[[World], None]
CAUGHT: list[tuple[Break, Invariant]] = [
    (lose_a_start, clients.acknowledged_starts_exist_once),
    (start_twice, clients.acknowledged_starts_exist_once),
    (accept_another_input, clients.equal_starts_are_one_execution),
    (answer_with_another_id, clients.equal_starts_are_one_execution),
    (reopen, clients.closed_stays_closed),
    (accept_two_completions, clients.first_completion_wins),
    (let_the_second_completion_win, clients.first_completion_wins),
    (complete_unasked, clients.first_completion_wins),
    (tell_the_loser_something_else, clients.first_completion_wins),
    (undo_a_stop, clients.stopped_is_what_clients_were_told),
    (skip_an_event_id, history.histories_have_no_gap),
    (end_a_step_twice, history.histories_have_no_gap),
    (record_an_attempt_twice, history.attempts_count_up),
    (write_after_a_takeover, history.fences_only_rise),
    (write_under_an_ungranted_fence, history.fences_only_rise),
    (interleave_two_holders, history.holders_do_not_overlap),
    (fire_early, history.timers_fire_once_and_not_early),
    (fire_twice, history.timers_fire_once_and_not_early),
    (sleep_over_a_completion, history.nothing_sleeps_over_an_event),
    (sleep_without_an_alarm, history.nothing_sleeps_over_an_event),
    (strand_an_execution, history.no_execution_is_stranded),
    (keep_what_a_lost_worker_held, history.no_execution_is_stranded),
    (write_after_the_end, history.the_end_is_the_end),
    (leave_a_timer, history.the_end_is_the_end),
    (leave_a_callback_open, history.the_end_is_the_end),
    (complete_an_invocation_twice, history.invocations_end_once),
    (go_back_in_time, history.times_follow_the_order),
    (deliver_another_value, effects.replays_deliver_the_same),
    (run_an_at_most_once_body_twice, effects.bodies_run_as_often_as_promised),
    (run_a_body_twice_under_one_lease, effects.bodies_run_as_often_as_promised),
    (succeed_without_a_body, effects.bodies_run_as_often_as_promised),
    (run_a_body_after_its_success, effects.nothing_runs_after_its_success),
    (go_on_before_the_wait_is_over, effects.waits_are_seen_in_time),
    (return_another_result, effects.programs_come_to_what_they_must),
    (lose_an_operation, effects.programs_come_to_what_they_must),
    (end_with_another_status, effects.programs_come_to_what_they_must),
    (never_pause_the_poison, effects.poison_is_paused),
    (pause_the_poison_late, effects.poison_is_paused),
    (run_on_after_a_stop, effects.stopped_runs_no_further),
    (run_anew_after_a_stop, effects.stopped_runs_no_further),
    (begin_out_of_order, effects.bodies_follow_the_program),
    (log_a_deadlock, effects.logs_are_clean),
]


@pytest.mark.parametrize(("break_it", "invariant"), CAUGHT, ids=[f"{b.__name__} - {i.__name__}" for b, i in CAUGHT])
def test_what_is_broken_is_named(world: World, break_it: Break, invariant: Invariant) -> None:
    broken = copy.deepcopy(world)
    break_it(broken)
    assert list(invariant(broken)) != []


def test_every_invariant_is_seen_to_catch_something() -> None:
    assert {invariant for _, invariant in CAUGHT} == set(INVARIANTS.values())


def test_a_seed_gives_the_same_programs_again() -> None:
    assert [Generator(7).program(n) for n in range(50)] == [Generator(7).program(n) for n in range(50)]
    assert Generator(7).program(1) != Generator(8).program(1)


def test_programs_hold_every_kind_of_operation_and_name_each_once() -> None:
    kinds = set()
    for number in range(200):
        program = Generator(1).program(number)
        ops = list(walk(program["ops"]))
        names = [op["n"] for op in ops]
        assert len(names) == len(set(names))
        ids = [expected.id for expected in expected_operations(program["ops"])]
        assert len(ids) == len(set(ids))
        kinds |= {op["k"] for op in ops}
        kinds |= {"doomed" for op in ops if op.get("fails") == DOOMED}
    basic = {"step", "doomed", "wait", "callback", "wait_for_callback"}
    assert kinds == basic | {"child", "parallel", "branch", "invoke"}


@pytest.mark.parametrize(
    ("name", "last", "count"),
    [
        ("worker-a", "billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9", 0),
        ("worker-a", "redis.exceptions.ConnectionError: Connection refused", 0),
        ("web", "django.db.utils.OperationalError: terminating connection", 0),
        ("scheduler-1", "django.db.utils.OperationalError: terminating connection", 1),
        ("worker-a", "AttributeError: 'NoneType' object has no attribute 'did_start_ok'", 1),
        ("worker-a", "StopIteration", 1),
        ("worker-a", "KeyError: 'x'", 1),
    ],
)
def test_a_traceback_is_a_problem_unless_a_fault_explains_it(name: str, last: str, count: int) -> None:
    text = f'INFO a line\nTraceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\n{last}\nINFO more\n'
    assert len(list(logs.problems(iter([(name, text)])))) == count


@pytest.mark.parametrize(
    ("place", "last", "count"),
    [
        ("asynloop", "AttributeError: 'NoneType' object has no attribute 'did_start_ok'", 0),
        ("get_process_queues", "StopIteration", 0),
        ("get_process_queues", "KeyError: 'x'", 1),
    ],
)
def test_what_celery_raises_at_a_known_place_of_its_own_is_no_problem(place: str, last: str, count: int) -> None:
    text = f'Traceback (most recent call last):\n  File "celery.py", line 1, in {place}\n    g()\n{last}\nINFO more\n'
    assert len(list(logs.problems(iter([("worker-a", text)])))) == count


def test_a_deadlock_in_the_log_of_postgres_is_a_problem() -> None:
    assert list(logs.problems(iter([("postgres", "ERROR:  deadlock detected\n")])))
