"""Golden histories: a recorded history, replayed against today's code before it is deployed.

Nothing runs that the history does not hold: the replay ends where new work would begin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from durable_engine.core.ports import (
    Batch,
    EventType,
    Guard,
    NewChild,
    NewEvent,
    News,
    NewTimer,
    Outcome,
    RecordedEvent,
    Snapshot,
    Target,
    UnknownFunction,
)
from durable_engine.core.replay import run_invocation
from durable_engine.core.suspension import ReleaseExecution
from durable_engine.sdk.registry import DurableHandler

FORMAT: Final = 1
_ENDS: Final = {EventType.EXECUTION_SUCCEEDED.value: "SUCCEEDED", EventType.EXECUTION_FAILED.value: "FAILED"}


@dataclass(frozen=True, slots=True)
class GoldenHistory:
    """The history of one execution, whole: as much of it as there was when it was recorded."""

    function: str
    version: int
    execution_id: str
    events: Sequence[RecordedEvent]

    def to_json(self) -> str:
        """Return it as JSON text, one event a line, without the fields that an event does not have."""
        head = {
            "format": FORMAT,
            "function": self.function,
            "version": self.version,
            "execution_id": self.execution_id,
        }
        lines = ",\n".join(f"  {json.dumps(_fields(event), ensure_ascii=False)}" for event in self.events)
        return f'{json.dumps(head)[:-1]}, "events": [\n{lines}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> GoldenHistory:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is something else; says what.
        """
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ValueError(f'not a golden history: the field "format" must be {FORMAT}; `record_history` writes it')
        try:
            events = [RecordedEvent(**event) for event in found["events"]]
            return cls(str(found["function"]), int(found["version"]), str(found["execution_id"]), events)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a golden history: {type(error).__name__}: {error}") from None


def check_replay(handler: DurableHandler, history: GoldenHistory) -> str | None:
    """Replay a history with a handler; return what would go wrong, for people, or None when all is well.

    It goes wrong when the code no longer matches the history, cannot read a recorded payload, keeps a suspension to
    itself, or, for an execution that had succeeded or failed, comes to another end. Bodies of recorded steps do not
    run; code between operations does, as at every replay.
    """
    store = _ReplayStore(history)
    try:
        run_invocation(handler, store, clock=lambda: 0.0, random=lambda: 0.5, arn=history.execution_id)
    except Exception as error:  # noqa: BLE001 - whatever the handler's code raises is the answer
        return f"The replay ended with {type(error).__name__}: {error}"
    return store.problem or _other_end(history, store.outcome)


def _other_end(history: GoldenHistory, outcome: Outcome | None) -> str | None:
    last = history.events[-1] if history.events else None
    recorded = None if last is None else _ENDS.get(last.event_type)
    if recorded is None or last is None:
        return None  # it was live, or ended from outside: the code may be anywhere
    if outcome is None:
        return f"The execution had {recorded.lower()}; today's code asks for an operation that the history has not."
    if outcome.status != recorded:
        return f"The execution had {recorded.lower()}; with today's code it would be {outcome.status}."
    if recorded == "SUCCEEDED" and outcome.payload != last.payload:
        return f"The result would change.\n  recorded {_shown(last.payload)}\n  today    {_shown(outcome.payload)}"
    return None


def _shown(text: str | None) -> str:
    return "nothing" if text is None else text if len(text) <= 200 else f"{text[:200]}…"


def _fields(event: RecordedEvent) -> dict[str, Any]:
    named: Mapping[str, Any] = event._asdict()
    return {name: value for name, value in named.items() if value is not None}


class _ReplayStore:
    """Implements `core.ports.InvocationStore` over a history that gets no longer: whoever would write has to stop."""

    poll_seconds = 60.0

    def __init__(self, history: GoldenHistory) -> None:
        self.outcome: Outcome | None = None
        self.problem: str | None = None
        self._history = history

    def load(self) -> Snapshot:
        history = self._history
        return Snapshot(
            execution_id=history.execution_id,
            function=history.function,
            version=history.version,
            name=history.execution_id,
            events=history.events,
            pending_timers=frozenset(),
            crash_count=0,
        )

    def should_release(self) -> bool:
        # Asked before all new work: the replay machine then hands over instead of beginning it.
        return True

    def defer(
        self,
        event: NewEvent,
        timer: NewTimer | None = None,
        child: NewChild | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        self._end()

    def checkpoint(self, batch: Batch, *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        self._end()

    def transact(self, body: Callable[[], Batch], *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        self._end()

    def refresh(self) -> News:
        return News((), frozenset(), None)

    def suspend(self, batch: Batch) -> Snapshot | None:
        return None

    def close(self, batch: Batch, outcome: Outcome) -> None:
        self.outcome = outcome

    def pause(self, batch: Batch, kind: str, reason: str) -> None:
        self.problem = reason

    def release(self, batch: Batch) -> None:
        """The history is over."""

    def callback_id(self, operation_id: str) -> str:
        return f"callback-{operation_id}"

    def find_function(self, name: str, version: int | None) -> Target:
        # An invoke has come to its end before it asks; what continues as new is content with its own version.
        raise UnknownFunction(name)

    def new_execution_id(self) -> str:
        return "successor"

    def _end(self) -> NoReturn:
        raise ReleaseExecution("the history is over")
