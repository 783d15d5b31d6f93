"""What step bodies did, and what programs came to, against the histories."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from tests.chaos.ledger import Entry
from tests.chaos.programs import ExpectedOperation, Program, expected_values, lanes, walk
from tests.chaos.world import CLOSED, EventRow, ExecutionRow, World


def replays_deliver_the_same(world: World) -> Iterator[str]:
    """I6: what an operation returned to the handler was the same on every replay."""
    delivered: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entry in world.ledger:
        if entry.phase == "seen":
            delivered[entry.execution_id, entry.name].add(entry.hash)
    for (execution_id, name), hashes in delivered.items():
        if len(hashes) > 1:
            yield f"{execution_id} {name}: {len(hashes)} different values"


def bodies_run_as_often_as_promised(world: World) -> Iterator[str]:
    """I7: an at-most-once attempt runs once, any other once a lease; each success has a body; attempts have a limit."""
    for execution, program in world.interpreted():
        begun: dict[str, list[Entry]] = defaultdict(list)
        for entry in world.ledger_by_execution[execution.id]:
            if entry.phase == "begin":
                begun[entry.name].append(entry)
        succeeded = {event.name for event in world.events[execution.id] if event.event_type == "StepSucceeded"}
        for op in walk(program["ops"]):
            if op["k"] != "step":
                continue
            entries = begun[op["n"]]
            key = (lambda e: e.attempt) if op["at_most_once"] else (lambda e: (e.attempt, e.fence))
            twice = [at for at, count in Counter(map(key, entries)).items() if count > 1]
            if twice:
                yield f"{execution.id} {op['n']}: bodies of {twice} ran more than once"
            if op["n"] in succeeded and not entries:
                yield f"{execution.id} {op['n']}: succeeded and no body ran"
            if any(entry.attempt > op["attempts"] for entry in entries):
                yield f"{execution.id} {op['n']}: more attempts than {op['attempts']}"


def nothing_runs_after_its_success(world: World) -> Iterator[str]:
    """I7: no body begins under a lease that was granted after the step had ended, nor later under the same one."""
    for execution, _ in world.interpreted():
        ended = {
            event.name: event
            for event in world.events[execution.id]
            if event.subtype == "Step" and event.is_outcome and event.fence is not None
        }
        for entry in world.ledger_by_execution[execution.id]:
            end = ended.get(entry.name)
            if entry.phase != "begin" or end is None or end.fence is None:
                continue
            if entry.fence > end.fence or (entry.fence == end.fence and entry.time > end.at + 1e-3):
                yield (
                    f"{execution.id} {entry.name}: a body began under fence {entry.fence}, "
                    f"{entry.time - end.at:+.3f} s from its end under fence {end.fence}"
                )


def waits_are_seen_in_time(world: World) -> Iterator[str]:
    """I9: no handler went on before its wait was over, by the machine's clock."""
    for execution, program in world.interpreted():
        seconds = {op["n"]: op["seconds"] for op in walk(program["ops"]) if op["k"] == "wait"}
        started = {e.name: e.at for e in world.events[execution.id] if e.event_type == "WaitStarted"}
        for entry in world.ledger_by_execution[execution.id]:
            if entry.phase == "seen" and entry.name in seconds:
                early = started.get(entry.name, float("inf")) + seconds[entry.name] - entry.time
                if early > 1e-3:
                    yield f"{execution.id} {entry.name}: the handler went on {early * 1000:.1f} ms early"


def programs_come_to_what_they_must(world: World) -> Iterator[str]:
    """I12: after healing every program that was not stopped has its result, through exactly its operations."""
    for execution, program in world.interpreted():
        if execution.status == "STOPPED" or execution.status not in CLOSED:
            continue
        events = world.events[execution.id]
        expected = {op.id: op for op in world.operations_of(program)}
        yield from _operation_differences(execution, events, expected)
        yield from _result_differences(world, execution, program)


def _operation_differences(
    execution: ExecutionRow, events: list[EventRow], expected: Mapping[str, ExpectedOperation]
) -> Iterator[str]:
    recorded: dict[str, tuple[str | None, str | None, str | None]] = {}
    ended = set()
    for event in events:
        if event.operation_id is not None:
            recorded.setdefault(event.operation_id, (event.subtype, event.name, event.parent_id))
            if event.is_outcome:
                ended.add(event.operation_id)
    wanted = {id_: (op.subtype, op.name, op.parent_id) for id_, op in expected.items()}
    if recorded != wanted:
        differing = sorted(set(recorded.items()) ^ set(wanted.items()))
        yield f"{execution.id}: operations differ from its program: {differing[:4]}"
    elif ended != set(wanted):
        yield f"{execution.id}: operations {sorted(set(wanted) - ended)} have no outcome"


def _result_differences(world: World, execution: ExecutionRow, program: Program) -> Iterator[str]:
    status = "FAILED" if program["end"] == "raise" else "SUCCEEDED"
    if execution.status != status:
        yield f"{execution.id}: {execution.status} ({execution.error_type}), its program must end {status}"
        return
    if status == "FAILED":
        if execution.error_type != "Planned":
            yield f"{execution.id}: failed with {execution.error_type}"
        return
    try:
        wanted = expected_values(program["ops"], world.outcomes_of(execution))
    except KeyError as missing:
        yield f"{execution.id}: callback {missing} has no outcome"
        return
    payload = world.events[execution.id][-1].payload or "null"
    if json.loads(payload) != wanted:
        result = payload[:200]
        yield f"{execution.id}: result {result}, its program must give {json.dumps(wanted)[:200]}"


def poison_is_paused(world: World) -> Iterator[str]:
    """I14: what kills each of its workers is PAUSED after exactly so many claims, and every one was recorded."""
    for execution in world.executions.values():
        if execution.function != "chaos-poison":
            continue
        crashes = sum(
            event.event_type == "InvocationCompleted" and event.error is not None
            for event in world.events[execution.id]
        )
        if (execution.status, execution.pause_kind) != ("PAUSED", "crashes"):
            yield f"{execution.id}: the poison is {execution.status} after {crashes} crashes"
        elif crashes != world.max_crashes or execution.crash_count != world.max_crashes:
            yield f"{execution.id}: paused after {crashes} crashes, counted {execution.crash_count}"


def stopped_runs_no_further(world: World) -> Iterator[str]:
    """I16: after a stop at most the body that a branch was about to begin still runs, and none under a new lease."""
    for execution, program in world.interpreted():
        if execution.status != "STOPPED" or execution.closed_at is None:
            continue
        late = [
            entry
            for entry in world.ledger_by_execution[execution.id]
            if entry.phase == "begin" and entry.time > execution.closed_at.timestamp() + 1e-3
        ]
        if any(entry.fence >= execution.fence for entry in late):
            yield f"{execution.id}: a body ran under a lease granted after the stop"
        lane_of = {op["n"]: lane for op, lane in lanes(program["ops"])}
        for (fence, lane), count in Counter((entry.fence, lane_of.get(entry.name)) for entry in late).items():
            if count > 1:
                yield f"{execution.id}: {count} bodies {lane or ''} under fence {fence} began after the stop"


def bodies_follow_the_program(world: World) -> Iterator[str]:
    """I18: under one lease the bodies of each branch of an execution begin in the order of its program."""
    for execution, program in world.interpreted():
        order = {op["n"]: (number, lane) for number, (op, lane) in enumerate(lanes(program["ops"]))}
        newest: dict[tuple[int, str], int] = {}
        for entry in world.ledger_by_execution[execution.id]:
            if entry.phase != "begin" or entry.name not in order:
                continue
            number, lane = order[entry.name]
            if number < newest.get((entry.fence, lane), -1):
                yield f"{execution.id} {entry.name}: began after a later step under fence {entry.fence}"
            newest[entry.fence, lane] = number


def logs_are_clean(world: World) -> Iterator[str]:
    """No process logged a traceback that a fault does not explain, nor a deadlock."""
    yield from world.log_problems
