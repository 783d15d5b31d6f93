"""Which handlers are compared, with what input, and what the outside does to them.

Imported by both sides, so it needs the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a callback is told: a result, a failure as the wire has it, or nothing until it times out."""

    callback: str
    result: bytes | None = None
    error: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Case:
    """One handler, `module.function` in `handlers`."""

    path: str
    input: Any = field(default_factory=dict)
    answers: Sequence[Answer] = ()
    invokes: Sequence[str] = ()  # functions of the same module that it invokes
    notes: str = ""  # a dict of the same module in which it notes more to compare

    @property
    def name(self) -> str:
        return self.path.partition(".")[2]

    def function(self, name: str = "") -> Any:
        """Return the handler, or another function of its module."""
        module, _, handler = self.path.partition(".")
        return getattr(import_module(f"tests.compatibility.handlers.{module}"), name or handler)

    def noted(self) -> Any:
        return dict(self.function(self.notes)) if self.notes else None


NO = {"ErrorType": "NoMood", "ErrorMessage": "not today", "ErrorData": '{"until": 5}'}

CASES = [
    Case("steps.named_steps", {"name": "bob"}),
    Case("steps.step_retried"),
    Case("steps.step_of_own_strategy"),
    Case("steps.step_filtered"),
    Case("steps.step_at_most_once"),
    Case("steps.handler_fails"),
    Case("waiting.waits"),
    Case("waiting.polls"),
    Case("waiting.polls_in_vain"),
    Case(
        "waiting.callback_answered",
        answers=[Answer("raw", b'{"raw": 1}'), Answer("parsed", b'{"parsed": 1}'), Answer("empty")],
    ),
    Case("waiting.callback_refused", answers=[Answer("answer", error=NO)]),
    Case("waiting.callback_late"),
    Case("waiting.callback_silent"),
    Case(
        "waiting.approval",
        answers=[Answer("ask create callback id", b"yes"), Answer("again create callback id", b"certainly")],
    ),
    Case("waiting.approval_refused", answers=[Answer("ask create callback id", error=NO)]),
    Case("groups.children"),
    Case("groups.virtual_child"),
    Case("groups.failing_child"),
    Case("groups.large_child"),
    Case("groups.retried_groups"),
    Case("groups.invokes", invokes=["charge"]),
    Case("batches.named_branches"),
    Case("batches.fails_fast"),
    Case("batches.tolerant_map"),
    Case("batches.flat_map"),
    Case("batches.strict_map"),
    Case("batches.tolerated_count"),
    Case("batches.first_successful"),
    Case("batches.custom_completion"),
    Case("batches.empty_batches"),
    Case("batches.nested_batches"),
    Case("batches.large_map"),
    Case("values.rich_values"),
    Case("values.chosen_serdes"),
    Case("values.log_lines"),
    Case("values.refused_arguments"),
    Case("values.unstorable_values"),
    Case("extras.watched", notes="SEEN"),
    Case("extras.values_in_files"),
]
