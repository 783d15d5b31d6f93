"""Which part of a history a redriven, rewound or forked execution starts with. Pure: events in, event ids out.

An execution is many flows of control: the handler's own, one inside each child context, one in each branch of a map or
parallel. Within one flow operations begin in order, and code after an operation may depend on its outcome. So what is
left out of a copy is, in each flow, everything from some operation on; what other flows did stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from durable_engine.core.history import EFFECTS, FAILED, STARTED, STOPPED, TIMED_OUT
from durable_engine.core.ports import EventType, RecordedEvent

BATCHES = frozenset({"Map", "Parallel"})
BRANCHES = frozenset({"MapIteration", "ParallelBranch"})
# One call of the handler's: the callback's id was handed out by the step beside it, so they are repeated together.
INDIVISIBLE = frozenset({"WaitForCallback"})

Flow = tuple[str | None, str]


class UnknownOperation(Exception):
    """The history has no operation with this id."""


class RecordedOperation:
    """One operation and its events, in order."""

    __slots__ = ("events", "id", "name", "parent_id", "subtype", "type")

    def __init__(self, id: str, first: RecordedEvent) -> None:
        self.id = id
        self.type = EFFECTS[first.event_type][0]
        self.subtype = first.subtype
        self.name = first.name
        self.parent_id = first.parent_id
        self.events = [first]

    @property
    def began(self) -> int:
        """The id of its first event."""
        return self.events[0].event_id

    @property
    def last(self) -> RecordedEvent:
        """Its newest event."""
        return self.events[-1]

    @property
    def is_running(self) -> bool:
        """Whether it was started and has said nothing since: a step under way, an open wait, callback or context."""
        return EFFECTS[self.last.event_type][1] == STARTED

    @property
    def backs_off(self) -> bool:
        """Whether it is a step that will be retried, or a condition that will be polled again."""
        return "next_attempt_delay_seconds" in (self.last.details or {})

    @property
    def has_failed(self) -> bool:
        """Whether its outcome is one that raises."""
        return not self.backs_off and EFFECTS[self.last.event_type][1] in (FAILED, TIMED_OUT, STOPPED)


@dataclass(frozen=True, slots=True)
class Prefix:
    """What is copied: `event_ids` of the source, ascending, from its ExecutionStarted on.

    `kept_count` operations are among them. `open` are those without an outcome, `repeated` those that are left out and
    will run again.
    """

    event_ids: Sequence[int]
    kept_count: int
    open: Sequence[RecordedOperation]
    repeated: Sequence[RecordedOperation]


def redriven(events: Sequence[RecordedEvent], repeat: Collection[str] = ()) -> Prefix:
    """Leave out what ended the execution: each failure that no code has reacted to, and what else began after it.

    A failure is reacted to when another operation began in its flow afterwards: the handler caught it. Of a map or
    parallel after which nothing began, the failed branches are repeated. What waits in `wait_for_callback` asks again:
    whom it had asked was told that nobody waits any more. Otherwise an execution that was stopped or timed out keeps
    everything and goes on where it was. `repeat` names operations that can't be kept.
    """
    cut = _Cut(events, repeat)
    if events[-1].event_type == EventType.EXECUTION_FAILED:
        for operation in list(cut.culprits(None, in_branch=False)):
            cut.repeat_from(operation)
        for context in cut.failed_contexts:
            cut.reopen(context)
    return cut.prefix()


def rewound(events: Sequence[RecordedEvent], operation_id: str, repeat: Collection[str] = ()) -> Prefix:
    """Leave out an operation and everything that began in its flow after it, up through the contexts around it.

    `repeat` names further operations that can't be kept.

    Raises:
        UnknownOperation: the history has no such operation.
    """
    cut = _Cut(events, repeat)
    cut.repeat_from(cut.whole(operation_id))
    return cut.prefix()


def forked(events: Sequence[RecordedEvent], operation_id: str) -> Prefix:
    """As `rewound`; steps and invokes that other branches have under way belong to the source and begin anew.

    Raises:
        UnknownOperation: the history has no such operation.
    """
    cut = _Cut(events)
    cut.repeat_from(cut.whole(operation_id))
    for operation in cut.operations.values():
        if operation.is_running and operation.type in ("STEP", "CHAINED_INVOKE"):
            cut.repeat_from(operation)
    return cut.prefix()


class _Cut:
    """The operations of a history, and which of them are left out or go on."""

    def __init__(self, events: Sequence[RecordedEvent], repeat: Collection[str] = ()) -> None:
        self.events = events
        self.operations: dict[str, RecordedOperation] = {}
        for event in events:
            if event.operation_id is None:
                continue
            known = self.operations.get(event.operation_id)
            if known is None:
                self.operations[event.operation_id] = RecordedOperation(event.operation_id, event)
            else:
                known.events.append(event)
        self.failed_contexts: list[RecordedOperation] = []
        self._inside: dict[str | None, list[RecordedOperation]] = defaultdict(list)
        self._flows: dict[Flow, list[RecordedOperation]] = defaultdict(list)
        self._dropped: set[str] = set()
        self._reopened: set[str] = set()
        for operation in self.operations.values():
            self._inside[operation.parent_id].append(operation)
        self._unnumbered = {id for id, inside in self._inside.items() if not _all_numbered(id, inside)}
        for operation in self.operations.values():
            self._flows[self._flow(operation)].append(operation)
        self._newest = {flow: operations[-1].began for flow, operations in self._flows.items()}
        for operation in self.operations.values():
            if operation.id in repeat or (operation.subtype in INDIVISIBLE and operation.is_running):
                self.repeat_from(operation)

    def whole(self, operation_id: str) -> RecordedOperation:
        """Return the operation, or the one call of the handler that it is a part of."""
        if operation_id not in self.operations:
            raise UnknownOperation(operation_id)
        chosen = each = self.operations[operation_id]
        while (parent := self._parent(each)) is not None:
            chosen = parent if parent.subtype in INDIVISIBLE else chosen
            each = parent
        return chosen

    def culprits(self, parent_id: str | None, *, in_branch: bool) -> Iterator[RecordedOperation]:
        """Yield, from the inside of a context, the operations whose failure ended its flow.

        Contexts that failed by code of their own, after operations that all stand, are noted in `failed_contexts`.
        """
        for operation in self._inside[parent_id]:
            if self._newest[self._flow(operation)] > operation.last.event_id:
                continue
            if operation.type == "CONTEXT" and operation.subtype not in INDIVISIBLE:
                yield from self._culprits_of(operation, in_branch=in_branch)
            elif operation.has_failed or (operation.type == "STEP" and operation.is_running and not in_branch):
                # The body of a running one failed the execution. In a branch it may as well have been cut off.
                yield operation

    def repeat_from(self, operation: RecordedOperation) -> None:
        """Leave out an operation and what began after it in its flow; the contexts around it go on."""
        for other in self._flows[self._flow(operation)]:
            if other.began >= operation.began:
                self._drop(other)
        if (parent := self._parent(operation)) is not None:
            self.reopen(parent)

    def reopen(self, context: RecordedOperation) -> None:
        """Let a context go on: its outcome is left out, and what was done knowing it."""
        if context.id in self._reopened:
            return
        self._reopened.add(context.id)
        for other in self._flows[self._flow(context)]:
            if other.began > context.began:
                self._drop(other)
        if (parent := self._parent(context)) is not None:
            self.reopen(parent)

    def prefix(self) -> Prefix:
        kept = [operation for operation in self.operations.values() if operation.id not in self._dropped]
        return Prefix(
            event_ids=list(self._event_ids(kept)),
            kept_count=len(kept),
            open=[each for each in kept if each.id in self._reopened or each.is_running or each.backs_off],
            repeated=[self.operations[id] for id in self.operations if id in self._dropped],
        )

    def _culprits_of(self, context: RecordedOperation, *, in_branch: bool) -> Iterator[RecordedOperation]:
        if not (context.has_failed or context.is_running or _is_batch(context)):
            return
        inner = list(self.culprits(context.id, in_branch=in_branch or _is_batch(context)))
        if context.has_failed and not inner:
            self.failed_contexts.append(context)
        yield from inner

    def _event_ids(self, kept: Iterable[RecordedOperation]) -> Iterator[int]:
        # How often a step was interrupted is counted by the invocations that ended with an error after its start.
        under_way = [each.last.event_id for each in kept if each.type == "STEP" and each.is_running]
        interrupted_after = min(under_way, default=self.events[-1].event_id)
        is_new = False
        for event in self.events:
            if event.operation_id is not None:
                if self._is_kept(event.operation_id, event):
                    is_new = True
                    yield event.event_id
            elif event.event_type == EventType.EXECUTION_STARTED:
                yield event.event_id
            elif event.event_type == EventType.INVOCATION_COMPLETED and (
                # One of which nothing else is left says nothing.
                is_new or (event.error is not None and event.event_id > interrupted_after)
            ):
                is_new = False
                yield event.event_id

    def _is_kept(self, operation_id: str, event: RecordedEvent) -> bool:
        if operation_id in self._dropped:
            return False
        return operation_id not in self._reopened or EFFECTS[event.event_type][1] == STARTED

    def _drop(self, operation: RecordedOperation) -> None:
        left = [operation]
        while left:
            each = left.pop()
            self._dropped.add(each.id)
            left += self._inside[each.id]

    def _parent(self, operation: RecordedOperation) -> RecordedOperation | None:
        return self.operations.get(operation.parent_id or "")

    def _flow(self, operation: RecordedOperation) -> Flow:
        """Return what tells the flows of control apart: the context, and the branch when it has several."""
        if not _is_batch(self._parent(operation)):
            return operation.parent_id, ""
        if operation.subtype in BRANCHES:
            return operation.parent_id, operation.id
        if operation.parent_id in self._unnumbered:
            # Nobody can tell which of these belong to one branch, so they count as one flow: more is repeated.
            return operation.parent_id, ""
        return operation.parent_id, _branch_of(operation)


def _is_batch(operation: RecordedOperation | None) -> bool:
    return operation is not None and operation.subtype in BATCHES


def _all_numbered(parent_id: str | None, inside: Iterable[RecordedOperation]) -> bool:
    return all(each.id.startswith(f"{parent_id}-") for each in inside)


def _branch_of(operation: RecordedOperation) -> str:
    """Return the number of the branch, from the path of an operation that a FLAT branch recorded."""
    return operation.id.removeprefix(f"{operation.parent_id}-").partition("-")[0]
