"""What all operation types share: ids in order, the comparison with the history, and who may call a context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Self, TypeVar

from durable_engine.core import history
from durable_engine.core.errors import failure_of, operation_error
from durable_engine.core.history import OperationState
from durable_engine.core.identifiers import operation_id, prefix_below
from durable_engine.core.strand import CURRENT, Strand
from durable_engine.sdk.context import DurableContext, ExecutionContext
from durable_engine.sdk.exceptions import (
    DurableExecutionsError,
    DurableOperationError,
    InvalidStateError,
    ValidationError,
)
from durable_engine.sdk.lambda_context import LambdaContext
from durable_engine.sdk.logger import SPEAKER, HasLogger, ReplayAwareLogger
from durable_engine.sdk.types import LoggerInterface

E = TypeVar("E", bound=DurableOperationError)

MAX_NAME_LENGTH = 256

OTHER_BRANCH = (
    "a durable operation was called on a context that belongs to another branch, or to the function around it. "
    "Call it on the context that the branch was given"
)

# The step whose body runs here; also set in the thread of a body that has a timeout and was abandoned.
_running_step: ContextVar[str | None] = ContextVar("durable_engine_running_step", default=None)


class Scope(DurableContext):
    """A context's place in the history: its prefix, its counter, and whether its function may call it now."""

    def __init__(
        self,
        strand: Strand,
        prefix: str = "",
        parent_id: str | None = None,
        *,
        is_closed: bool = False,
        logger: LoggerInterface | None = None,
    ) -> None:
        self.strand = strand
        self.invocation = strand.invocation
        self.prefix = prefix
        self.parent_id = parent_id
        self.count = 0
        self.is_closed = is_closed  # completed with a result too large to store: its body runs over what is recorded
        self.busy: str | None = None  # what to answer while the body of an operation runs
        self.is_rereading = False
        self.outer: Scope | None = None  # the context around it
        self.patches: dict[str, bool] = {}
        self.base_logger = logger or strand.invocation.logger
        self._logger: ReplayAwareLogger | None = None

    @property
    def logger(self) -> ReplayAwareLogger:
        """A logger that is silent while history is replayed."""
        if self._logger is None:
            extra = {"executionArn": self.invocation.arn}
            if self.parent_id is not None:
                extra["parentId"] = self.parent_id
            self._logger = ReplayAwareLogger(self.base_logger, extra, self.is_replaying)
        return self._logger

    def set_logger(self, logger: LoggerInterface) -> None:
        """Put another logger behind `logger`."""
        self.base_logger, self._logger = logger, None

    @property
    def execution_context(self) -> ExecutionContext:
        """Which execution this is."""
        return self.invocation.execution_context

    @property
    def lambda_context(self) -> LambdaContext:
        """What stands in for the Lambda context of AWS."""
        return self.invocation.lambda_context

    def is_replaying(self) -> bool:
        """Whether the code before the next operation has run before: it has when that operation is recorded."""
        return self.is_closed or self.is_rereading or self.next_id() in self.invocation.operations

    def next_id(self) -> str:
        """The id of the operation that has not been asked for yet."""
        return operation_id(self.prefix, self.count + 1)

    def begin(self, type: str, subtype: str, name: str | None) -> OperationState:
        """Return the state of the next operation, compared with what the history holds in its place."""
        self.check_usable(name)
        self.count = number = self.count + 1
        self.is_rereading = False
        id = operation_id(self.prefix, number)
        state = self.invocation.operations.get(id)
        if state is None:
            return self._new(OperationState(id, type, subtype, name, self.parent_id))
        if state.type != type or state.subtype != subtype or state.name != name or state.parent_id != self.parent_id:
            self.strand.pause("divergence", history.divergence(state, type, subtype, name, self.parent_id))
        if self.invocation.plugins is not None:
            self.invocation.plugins.met(state)
        return state

    def begin_virtual(self, name: str | None) -> str:
        """Return the id that a context without an operation of its own takes up."""
        self.check_usable(name)
        self.count += 1
        id = operation_id(self.prefix, self.count)
        if (state := self.invocation.operations.get(id)) is not None:
            self.strand.pause(
                "divergence", history.divergence(state, "(virtual context)", "(none)", name, self.parent_id)
            )
        return id

    def child(self, id: str, parent_id: str | None, *, strand: Strand | None = None, is_closed: bool = False) -> Self:
        """Return the context for the body of a child, or of a branch, which has a strand of its own."""
        child = type(self)(
            strand or self.strand,
            prefix_below(id),
            parent_id,
            is_closed=is_closed or self.is_closed,
            logger=self.base_logger,
        )
        child.outer = self
        return child

    def patch_of(self, change_id: str) -> bool | None:
        """Return what was decided about a change here or in a context around this one; None if nothing was."""
        decided = self.patches.get(change_id)
        if decided is None and self.outer is not None:
            return self.outer.patch_of(change_id)
        return decided

    def check_usable(self, name: str | None) -> None:
        """Refuse a call at a place or with a name that cannot be.

        Raises:
            InvalidStateError: the body of a step, or of a child with a context of its own, is running, or this is the
                context of another branch.
            ValidationError: the name is not 1 to 256 printable ASCII characters.
        """
        self.strand.check()
        current = CURRENT.get()
        if current is not self.strand and current is not None:
            current.check()  # a branch that was left behind hears of that first
            raise InvalidStateError(OTHER_BRANCH)
        refusal = self.busy or _running_step.get()
        if refusal is not None:
            raise InvalidStateError(refusal)
        if name is not None:
            check_name(name)

    def check_all_reached(self, where: str) -> None:
        """Called when the function that uses this context has ended: nothing recorded may be left over."""
        left_over = self.invocation.operations.get(self.next_id())
        if left_over is not None:
            self.strand.pause("divergence", history.unreached(left_over, where))

    @contextmanager
    def running(self, refusal: str) -> Iterator[None]:
        """Refuse calls to this context while the body of one of its operations runs."""
        before, self.busy = self.busy, refusal
        try:
            yield
        finally:
            self.busy = before

    def _new(self, state: OperationState) -> OperationState:
        if self.is_closed:
            self.strand.pause(
                "divergence",
                f"The handler's code no longer matches the history: the context {self.parent_id} is complete, and "
                f"now asks for {state}, which it did not have.\n"
                "Deploy code that makes the same calls in the same order, then resume. "
                "Or rewind the execution to before this context, or stop it.",
            )
        return state


def check_name(name: object, argument: str = "name") -> None:
    """Refuse a name that AWS clients could not show.

    Raises:
        ValidationError: it is not 1 to 256 printable ASCII characters.
    """
    if isinstance(name, str) and name.isascii() and name.isprintable() and 0 < len(name) <= MAX_NAME_LENGTH:
        return
    raise ValidationError(f"{argument}: {name!r} must be 1 to 256 printable ASCII characters")


def refuse_in_step() -> None:
    """Refuse a call that belongs to no context while the body of a step runs.

    Raises:
        InvalidStateError: the body of a step is running.
    """
    refusal = _running_step.get()
    if refusal is not None:
        raise InvalidStateError(refusal)


@contextmanager
def running_step(scope: Scope, state: OperationState, context: HasLogger) -> Iterator[None]:
    """Refuse durable operations while the body of a step runs, also in the thread of an abandoned body.

    What the body prints is taken for what it gave to the logger of the context that it is called with.
    """
    refusal = (
        f"a durable operation was called inside the body of {state}. A step's body runs as one unit: "
        "move the call out of it, or use run_in_child_context to group operations"
    )
    token, speaker = _running_step.set(refusal), SPEAKER.set(context)
    try:
        # The variable does not reach threads that the body starts itself; the scope does.
        with scope.running(refusal):
            yield
    finally:
        SPEAKER.reset(speaker)
        _running_step.reset(token)


class speaking:
    """Take what is printed here for what was given to the logger of a context. A generator would cost branches more."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: HasLogger) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = SPEAKER.set(self._context)

    def __exit__(self, *_: object) -> None:
        SPEAKER.reset(self._token)


def calling(
    scope: Scope, state: OperationState | None, attempt: int | None = None, *, is_replay_children: bool = False
) -> AbstractContextManager[None]:
    """Return the context in which an author's function is called: plugins are told of it."""
    plugins = scope.invocation.plugins
    if plugins is None or state is None:
        return nullcontext()
    return plugins.user_function(state, attempt, is_replay_children=is_replay_children)


def attempt_logger(scope: Scope, state: OperationState, attempt: int) -> ReplayAwareLogger:
    """Return the logger for the body of one attempt, which never runs as a replay."""
    extra: dict[str, object] = {"executionArn": scope.invocation.arn, "operationId": state.id, "attempt": attempt}
    if state.parent_id is not None:
        extra["parentId"] = state.parent_id
    if state.name is not None:
        extra["operationName"] = state.name
    return ReplayAwareLogger(scope.base_logger, extra)


def recorded_error(strand: Strand, state: OperationState, cls: type[E]) -> E:
    """Return the exception of a failed operation, the same on the first run and on every replay."""
    try:
        return operation_error(cls, state.error)
    except ValueError as error:
        strand.pause_undecodable(state, error)


def recorded_failure(strand: Strand, state: OperationState, cls: type[DurableOperationError]) -> DurableExecutionsError:
    """Return the exception of a failed operation that ran the author's code, likewise."""
    try:
        return failure_of(cls, state.error)
    except ValueError as error:
        strand.pause_undecodable(state, error)


def whole(seconds: float) -> float:
    """Return a whole number of seconds as an int, as histories show it."""
    return int(seconds) if seconds == int(seconds) else seconds
