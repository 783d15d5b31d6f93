"""What a redrive, rewind or fork would do to one execution in particular, in words for its dialog."""

from collections.abc import Sequence

from durable_engine.queries.copy_plans import CopyPlan, fork_plan, redrive_plan, rewind_plan
from durable_engine.queries.executions import ExecutionSummary

# A plan reads the whole history, which a dialog over a very long one would have to wait for.
MOST_EVENTS = 10_000
MOST_NAMED = 8


def redrive_facts(execution: ExecutionSummary) -> Sequence[str]:
    """What is kept and what runs again."""
    return _facts(redrive_plan(execution.id)) if execution.last_event_id <= MOST_EVENTS else ()


def rewind_facts(execution: ExecutionSummary, operation_id: str) -> Sequence[str]:
    """What is kept and what runs again."""
    return _facts(rewind_plan(execution.id, operation_id)) if execution.last_event_id <= MOST_EVENTS else ()


def fork_facts(execution: ExecutionSummary, operation_id: str) -> Sequence[str]:
    """What is kept and what runs again."""
    return _facts(fork_plan(execution.id, operation_id)) if execution.last_event_id <= MOST_EVENTS else ()


def _facts(plan: CopyPlan | None) -> Sequence[str]:
    if plan is None:
        return ()
    kept = f"{plan.kept:,} operation{'' if plan.kept == 1 else 's'} {'is' if plan.kept == 1 else 'are'} kept."
    if not plan.repeated:
        return (kept,)
    names = [operation.name or operation.id for operation in plan.repeated[:MOST_NAMED]]
    more = len(plan.repeated) - len(names)
    again = f"Runs again: {', '.join(names)}{f' and {more:,} more' if more else ''}."
    return kept, again
