from __future__ import annotations

from uuid import UUID

import pytest

from durable_engine import extensions


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_sweeps", {})
    monkeypatch.setattr(extensions, "_callback_hooks", [])
    monkeypatch.setattr(extensions, "_execution_hooks", [])


def test_sweeps_are_listed_by_name_and_replaced_by_a_later_registration() -> None:
    extensions.register_sweep("b", lambda: 0, 5)
    extensions.register_sweep("a", lambda: 0, 1)
    extensions.register_sweep("b", lambda: 1, 7)

    assert [(sweep.name, sweep.every_seconds) for sweep in extensions.sweeps()] == [("a", 1), ("b", 7)]


def test_a_sweep_without_a_period_is_refused() -> None:
    with pytest.raises(ValueError, match="every_seconds of the sweep 'a' must be more than 0"):
        extensions.register_sweep("a", lambda: 0, 0)


def test_hooks_are_called_once_each_with_what_closed() -> None:
    seen: list[object] = []
    extensions.on_callback_closed(seen.append)
    extensions.on_execution_closed(seen.append)

    @extensions.on_callback_closed
    def twice_registered(closed: extensions.ClosedCallback) -> None:
        seen.append(closed.status)

    extensions.on_callback_closed(twice_registered)
    callback = extensions.ClosedCallback(UUID(int=1), "3", "SUCCEEDED")
    execution = extensions.ClosedExecution(UUID(int=1), "order", "FAILED")
    extensions.callback_closed(callback)
    extensions.execution_closed(execution)

    assert seen == [callback, "SUCCEEDED", execution]


def test_an_error_of_a_hook_comes_out_so_that_its_transaction_rolls_back() -> None:
    def broken(closed: extensions.ClosedExecution) -> None:
        raise LookupError("hook")

    extensions.on_execution_closed(broken)

    with pytest.raises(LookupError, match="hook"):
        extensions.execution_closed(extensions.ClosedExecution(UUID(int=1), "order", "FAILED"))
