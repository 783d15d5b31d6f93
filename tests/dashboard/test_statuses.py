import re
from pathlib import Path

import pytest

from dashboard.statuses import (
    EXECUTION_STATUSES,
    OPERATION_STATUSES,
    execution_status,
    operation_kind,
    operation_status,
)
from durable_engine.models import CallbackStatus, ExecutionStatus

TONES = sorted({status.tone for status in [*EXECUTION_STATUSES.values(), *OPERATION_STATUSES.values()]})
CSS = (Path(__file__).parents[2] / "static/css/components.css").read_text()
TOKENS = (Path(__file__).parents[2] / "static/css/tokens.css").read_text()


def test_every_status_of_an_execution_has_its_row() -> None:
    assert list(EXECUTION_STATUSES) == [status.value for status in ExecutionStatus]


def test_every_status_of_a_callback_has_its_row() -> None:
    assert all(operation_status("CALLBACK", status).meaning for status in CallbackStatus)


@pytest.mark.parametrize("tone", TONES)
def test_every_tone_has_its_colours(tone: str) -> None:
    assert f".tone-{tone} " in CSS
    for suffix in ("", "-soft", "-bar"):
        assert re.search(rf"--{tone}{suffix}: light-dark", TOKENS)


def test_statuses_are_told_apart_without_colour() -> None:
    for table in (EXECUTION_STATUSES, OPERATION_STATUSES):
        assert len({row.label for row in table.values()}) == len(table)
    glyphs = [row.glyph for row in EXECUTION_STATUSES.values()]
    assert len(set(glyphs)) == len(glyphs)


def test_a_step_runs_but_a_wait_and_a_callback_wait() -> None:
    assert operation_status("STEP", "STARTED").label == "Running"
    assert operation_status("WAIT", "STARTED").label == "Waiting"
    assert operation_status("CALLBACK", "STARTED").label == "Waiting"


def test_an_unknown_status_is_shown_as_it_is() -> None:
    assert execution_status("ON_FIRE").label == "On fire"


def test_kinds_are_called_what_handler_authors_call_them() -> None:
    assert operation_kind("CONTEXT", "RunInChildContext") == "child context"
    assert operation_kind("CALLBACK", "WaitForCallback") == "wait for callback"
    assert operation_kind("CHAINED_INVOKE", None) == "invoke"
