"""What `map` and `parallel` share: a context whose result is that of its branches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from durable_engine.core import history, payloads
from durable_engine.core.errors import error_text
from durable_engine.core.history import FAILED, NEW, STARTED, SUCCEEDED, OperationState
from durable_engine.core.identifiers import operation_id, prefix_below
from durable_engine.core.operations.base import Scope, recorded_failure, speaking
from durable_engine.core.operations.batch_run import BatchRun
from durable_engine.core.operations.branch import Branch, read_recorded
from durable_engine.core.operations.child import check_ended
from durable_engine.core.ports import EventType
from durable_engine.sdk.concurrency import BatchItem, BatchItemStatus, BatchResult, CompletionReason
from durable_engine.sdk.config import NestingType, ParallelConfig
from durable_engine.sdk.exceptions import ChildContextError, InvocationError, ValidationError
from durable_engine.sdk.types import ErrorObject, OperationSubType


class BatchOperation:
    """One call of `map` or `parallel`."""

    def __init__(self, scope: Scope, state: OperationState, branches: Sequence[Branch], config: ParallelConfig) -> None:
        self.scope = scope
        self.strand = scope.strand
        self.invocation = scope.invocation
        self.state = state
        self.branches = branches
        self.config = config
        self.nesting = config.nesting_type.value
        self.serdes = config.serdes or scope.invocation.serdes
        self.item_serdes = config.item_serdes or self.serdes
        is_map = state.subtype == OperationSubType.MAP
        self.branch_subtype = OperationSubType.MAP_ITERATION if is_map else OperationSubType.PARALLEL_BRANCH
        self.envelope_type = "MapResult" if is_map else "ParallelResult"

    def result(self) -> Any:
        """Return the recorded result, or run the branches that have no outcome yet.

        Raises:
            ChildContextError: the result could not be stored, or `should_complete` raised.
        """
        state = self.state
        self._check_shape()
        if state.status == FAILED:
            raise recorded_failure(self.strand, state, ChildContextError)
        with self.scope.running(_refusal(state)):
            if state.status == SUCCEEDED:
                return self._rebuilt() if state.replay_children else self.strand.read(state, self.serdes)
            if state.status == NEW:
                self.strand.check_release()
                shape: dict[str, object] = {"branches": len(self.branches), "nesting": self.nesting}
                self.strand.defer(state, self.strand.event(EventType.CONTEXT_STARTED, state, details=shape))
            self._read_branches()
            run = BatchRun(self.scope, state.id, self.branches, self.config)
            run.run()
            return self._record(run)

    # Running

    def _read_branches(self) -> None:
        for branch in self.branches:
            recorded = self.invocation.operations.get(branch.id)
            if self.config.nesting_type is NestingType.FLAT:
                self._check_unrecorded(branch, recorded)
            elif recorded is None:
                branch.state = OperationState(branch.id, "CONTEXT", self.branch_subtype, branch.name, self.state.id)
            else:
                self._check_same(branch, recorded)
                branch.state = recorded
                read_recorded(self.scope, branch, recorded, self.item_serdes)

    def _record(self, run: BatchRun) -> Any:
        strand, state = self.strand, self.state
        try:
            if run.failure is not None:
                raise run.failure
            assert run.reason is not None  # noqa: S101 - the run returned
            result = BatchResult([branch.item() for branch in run.started()], run.reason)
            text, details, read_back = self._encoded(result)
        except InvocationError:  # not the batch's outcome: another invocation runs it again
            raise
        except Exception as error:  # noqa: BLE001 - whatever the author's functions raise is its outcome
            failure = error
        else:
            event = strand.event(EventType.CONTEXT_SUCCEEDED, state, payload=text, details=details)
            strand.checkpoint(state, [event], abandoned=run.abandoned(), progress=True)
            return read_back
        event = strand.event(EventType.CONTEXT_FAILED, state, error=error_text(failure))
        strand.checkpoint(state, [event], progress=True)
        raise recorded_failure(strand, state, ChildContextError)

    def _encoded(self, result: BatchResult[Any]) -> tuple[str, dict[str, object] | None, Any]:
        what = payloads.result_of(self.state)
        text, read_back = payloads.encoded(result, self.serdes, self.state.id, self.invocation.arn, what)
        if payloads.size_of(text) <= payloads.MAX_INLINE_CONTEXT_BYTES:
            return text, None, read_back
        return self._envelope(result), {"replay_children": True}, read_back

    # A result too large to store

    def _envelope(self, result: BatchResult[Any]) -> str:
        """Return what has to be known beside the branches' own records to make the same result again."""
        started = [item.index for item in result.started()]
        completed = [item.index for item in result.all if item.status is not BatchItemStatus.STARTED]
        envelope: dict[str, Any] = {
            "type": self.envelope_type,
            "totalCount": result.total_count,
            "completionReason": result.completion_reason.value,
            "startedCount": len(started),
            "successCount": result.success_count,
            "failureCount": result.failure_count,
            "status": result.status.value,
        }
        if len(started) <= len(completed):
            envelope["startedIndexes"] = started
        else:
            envelope["completedIndexes"] = completed
        if self.config.summary_generator is not None:
            summary = self.config.summary_generator(result)
            if payloads.size_of(json.dumps(summary)) <= payloads.MAX_INLINE_CONTEXT_BYTES // 2:
                envelope["summary"] = summary
        return json.dumps(envelope)

    def _rebuilt(self) -> Any:
        """Make the result again from what is recorded of the branches; nothing is written and nothing runs anew."""
        count, started, reason = self._read_envelope()
        items = [
            BatchItem[Any](branch.index, BatchItemStatus.STARTED) if branch.index in started else self._ended(branch)
            for branch in self.branches[:count]
        ]
        result = BatchResult(items, reason)
        what = payloads.result_of(self.state)
        return payloads.encoded(result, self.serdes, self.state.id, self.invocation.arn, what)[1]

    def _read_envelope(self) -> tuple[int, frozenset[int], CompletionReason]:
        try:
            envelope = json.loads(self.state.payload or "")
            count = envelope["totalCount"]
            if "startedIndexes" in envelope:
                started = frozenset(envelope["startedIndexes"])
            else:
                started = frozenset(range(count)) - frozenset(envelope["completedIndexes"])
            return count, started, CompletionReason(envelope["completionReason"])
        except (ValueError, KeyError, TypeError) as error:
            self.strand.pause_undecodable(self.state, error)

    def _ended(self, branch: Branch) -> BatchItem[Any]:
        if self.config.nesting_type is NestingType.FLAT:
            return self._ended_flat(branch)
        recorded = self.invocation.operations.get(branch.id)
        if recorded is None or recorded.status == STARTED:
            self.strand.pause(
                "divergence", f"{self.state} is complete, but its {branch} has no outcome in the history."
            )
        self._check_same(branch, recorded)
        read_recorded(self.scope, branch, recorded, self.item_serdes)
        return branch.item()

    def _ended_flat(self, branch: Branch) -> BatchItem[Any]:
        context = self.scope.child(branch.id, self.state.id, is_closed=True)
        try:
            with speaking(context):
                value = branch.body(context)
            check_ended(context, str(branch))
            what = f"the result of {branch}"
            value = payloads.encoded(value, self.item_serdes, branch.id, self.invocation.arn, what)[1]
            return BatchItem(branch.index, BatchItemStatus.SUCCEEDED, value)
        except InvocationError:
            raise
        except Exception as error:  # noqa: BLE001 - the outcome it had the first time
            check_ended(context, str(branch))
            return BatchItem(branch.index, BatchItemStatus.FAILED, error=ErrorObject.from_text(error_text(error)))

    # Divergence

    def _check_shape(self) -> None:
        state, asked = self.state, len(self.branches)
        if state.branches is None or (state.branches, state.nesting) == (asked, self.nesting):
            return
        rows = [("branches", state.branches, asked), ("nesting", state.nesting, self.nesting)]
        self.strand.pause("divergence", history.compared(state, rows))

    def _check_same(self, branch: Branch, recorded: OperationState) -> None:
        subtype, parent_id = self.branch_subtype, self.state.id
        known = (recorded.type, recorded.subtype, recorded.name, recorded.parent_id)
        if known != ("CONTEXT", subtype, branch.name, parent_id):
            self.strand.pause("divergence", history.divergence(recorded, "CONTEXT", subtype, branch.name, parent_id))

    def _check_unrecorded(self, branch: Branch, recorded: OperationState | None) -> None:
        if recorded is not None:
            self.strand.pause(
                "divergence", history.divergence(recorded, "(flat branch)", "(none)", branch.name, self.state.id)
            )


def branch_id(batch_id: str, index: int) -> str:
    """Return the id of a branch: branches are numbered from 1 below their batch."""
    return operation_id(prefix_below(batch_id), index + 1)


def check_achievable(config: ParallelConfig, total: int) -> None:
    """Refuse criteria that so many branches cannot meet.

    Raises:
        ValidationError: `min_successful` is above the number of branches.
    """
    wanted = config.completion_config.min_successful
    if wanted is not None and wanted > total:
        raise ValidationError(f"CompletionConfig.min_successful is {wanted}, and there are only {total} branches")


def _refusal(state: OperationState) -> str:
    return (
        f"a durable operation was called on the outer context inside a branch of {state}. "
        "Call it on the context that the branch was given"
    )
