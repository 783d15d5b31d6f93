"""What a copy of a history keeps, where branches interleave and ids tell little."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from durable_engine.core.ports import RecordedEvent
from durable_engine.core.prefix import Prefix, UnknownOperation, forked, redriven, rewound

BATCH_OF_TWO = """
ContextStarted 1 Parallel
ContextStarted 1-1 ParallelBranch 1
ContextStarted 1-2 ParallelBranch 1
StepStarted 1-1-1 Step 1-1
StepStarted 1-2-1 Step 1-2
StepSucceeded 1-2-1 Step 1-2
StepFailed 1-1-1 Step 1-1
ContextFailed 1-1 ParallelBranch 1
StepStarted 1-2-2 Step 1-2
StepSucceeded 1-2-2 Step 1-2
ContextSucceeded 1-2 ParallelBranch 1
ContextSucceeded 1 Parallel
"""


def history(text: str, end: str = "ExecutionFailed") -> list[RecordedEvent]:
    """Read `Type id subtype parent` lines; `!` marks a retry or an error."""
    lines = ["ExecutionStarted", *text.strip().splitlines(), *([end] if end else [])]
    return [_event(number, line.split()) for number, line in enumerate(lines, start=1)]


def _event(number: int, words: list[str]) -> RecordedEvent:
    marked = words[-1] == "!"
    kind, operation, subtype, parent = [*words[: len(words) - marked], None, None, None][:4]
    is_invocation = kind == "InvocationCompleted"
    return RecordedEvent(
        number,
        str(kind),
        operation,
        parent,
        subtype,
        error="{}" if marked and is_invocation else None,
        details={"next_attempt_delay_seconds": 5} if marked and not is_invocation else None,
    )


def kept(events: Sequence[RecordedEvent], prefix: Prefix) -> list[str]:
    by_id = {event.event_id: event for event in events}
    return [f"{by_id[id].event_type} {by_id[id].operation_id or ''}".strip() for id in prefix.event_ids]


def repeated(prefix: Prefix) -> list[str]:
    return [operation.id for operation in prefix.repeated]


class TestBranches:
    def test_a_failed_branch_is_repeated_and_the_others_keep_what_they_did_later(self) -> None:
        events = history(BATCH_OF_TWO)
        prefix = redriven(events)
        assert kept(events, prefix) == [
            "ExecutionStarted",
            "ContextStarted 1",
            "ContextStarted 1-1",
            "ContextStarted 1-2",
            "StepStarted 1-2-1",
            "StepSucceeded 1-2-1",
            "StepStarted 1-2-2",
            "StepSucceeded 1-2-2",
            "ContextSucceeded 1-2",
        ]
        assert repeated(prefix) == ["1-1-1"]
        assert [operation.id for operation in prefix.open] == ["1", "1-1"]

    def test_failures_of_branches_that_the_handler_went_on_from_stand(self) -> None:
        events = history(f"{BATCH_OF_TWO}StepStarted 2 Step\nStepFailed 2 Step")
        assert repeated(redriven(events)) == ["2"]

    def test_rewinding_into_a_branch_leaves_the_other_branches(self) -> None:
        events = history(f"{BATCH_OF_TWO}StepStarted 2 Step\nStepSucceeded 2 Step")
        assert repeated(rewound(events, "1-2-2")) == ["1-2-2", "2"]
        assert repeated(rewound(events, "1-2")) == ["1-2", "1-2-1", "1-2-2", "2"]

    def test_flat_branches_are_told_apart_by_the_paths_of_their_operations(self) -> None:
        events = history(
            """
            ContextStarted 1 Map
            StepStarted 1-1-1 Step 1
            StepStarted 1-2-1 Step 1
            StepFailed 1-1-1 Step 1
            StepSucceeded 1-2-1 Step 1
            StepStarted 1-2-2 Step 1
            StepSucceeded 1-2-2 Step 1
            ContextSucceeded 1 Map
            """
        )
        assert repeated(redriven(events)) == ["1-1-1"]

    def test_flat_branches_whose_paths_are_hashed_count_as_one_flow(self) -> None:
        # Nothing of a branch may be kept that began after what is repeated in the same branch.
        events = history(
            """
            ContextStarted 1 Map
            StepStarted 1-1-1 Step 1
            StepSucceeded 1-1-1 Step 1
            StepStarted aaaa Step 1
            StepStarted 1-2-1 Step 1
            StepSucceeded 1-2-1 Step 1
            StepSucceeded aaaa Step 1
            ContextSucceeded 1 Map
            """
        )
        assert repeated(rewound(events, "1-1-1")) == ["1-1-1", "aaaa", "1-2-1"]

    def test_a_branch_that_was_cut_off_by_the_end_goes_on_with_its_attempt(self) -> None:
        events = history(
            """
            ContextStarted 1 Parallel
            ContextStarted 1-1 ParallelBranch 1
            ContextStarted 1-2 ParallelBranch 1
            StepStarted 1-1-1 Step 1-1
            StepStarted 1-2-1 Step 1-2
            StepFailed 1-2-1 Step 1-2
            InvocationCompleted
            """
        )
        prefix = redriven(events)
        assert repeated(prefix) == ["1-2-1"]
        assert "StepStarted 1-1-1" in kept(events, prefix)

    def test_a_fork_begins_steps_of_other_branches_anew(self) -> None:
        events = history(
            """
            ContextStarted 1 Parallel
            ContextStarted 1-1 ParallelBranch 1
            ContextStarted 1-2 ParallelBranch 1
            StepStarted 1-1-1 Step 1-1
            StepStarted 1-2-1 Step 1-2
            StepSucceeded 1-2-1 Step 1-2
            """,
            end="",
        )
        assert repeated(forked(events, "1-2-1")) == ["1-1-1", "1-2-1"]


class TestFlow:
    def test_a_callback_that_failed_is_repeated_with_all_that_had_its_id(self) -> None:
        events = history(
            """
            StepStarted 1 Step
            StepSucceeded 1 Step
            CallbackStarted 2 Callback
            StepStarted 3 Step
            StepSucceeded 3 Step
            CallbackFailed 2 Callback
            """
        )
        assert repeated(redriven(events)) == ["2", "3"]

    def test_a_callback_that_was_answered_after_the_chosen_operation_keeps_its_answer(self) -> None:
        events = history(
            """
            CallbackStarted 1 Callback
            StepStarted 2 Step
            StepSucceeded 2 Step
            CallbackSucceeded 1 Callback
            """
        )
        prefix = rewound(events, "2")
        assert repeated(prefix) == ["2"]
        assert kept(events, prefix) == ["ExecutionStarted", "CallbackStarted 1", "CallbackSucceeded 1"]

    def test_a_step_whose_body_failed_the_execution_begins_anew(self) -> None:
        events = history("StepStarted 1 Step\nInvocationCompleted")
        assert repeated(redriven(events)) == ["1"]

    def test_a_part_of_wait_for_callback_stands_for_the_whole(self) -> None:
        events = history(
            """
            ContextStarted 1 WaitForCallback
            CallbackStarted 1-1 Callback 1
            StepStarted 1-2 Step 1
            StepSucceeded 1-2 Step 1
            CallbackSucceeded 1-1 Callback 1
            ContextSucceeded 1 WaitForCallback
            """
        )
        assert repeated(rewound(events, "1-2")) == ["1", "1-1", "1-2"]

    def test_an_operation_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(UnknownOperation, match="9"):
            rewound(history("StepStarted 1 Step"), "9")


class TestInvocations:
    def test_of_an_invocation_that_left_nothing_nothing_is_copied(self) -> None:
        events = history(
            """
            StepStarted 1 Step
            StepSucceeded 1 Step
            InvocationCompleted
            WaitStarted 2 Wait
            InvocationCompleted
            WaitSucceeded 2 Wait
            InvocationCompleted
            """
        )
        assert kept(events, rewound(events, "2")) == [
            "ExecutionStarted",
            "StepStarted 1",
            "StepSucceeded 1",
            "InvocationCompleted",
        ]

    def test_interruptions_of_a_step_under_way_stay_counted(self) -> None:
        events = history(
            """
            StepStarted 1 Step
            InvocationCompleted !
            InvocationCompleted !
            InvocationCompleted
            """,
            end="ExecutionStopped",
        )
        assert kept(events, redriven(events)).count("InvocationCompleted") == 2

    def test_a_step_in_back_off_stays_in_back_off(self) -> None:
        events = history("StepStarted 1 Step\nStepFailed 1 Step !\nInvocationCompleted", end="ExecutionTimedOut")
        prefix = redriven(events)
        assert [operation.id for operation in prefix.open if operation.backs_off] == ["1"]
        assert not prefix.repeated
