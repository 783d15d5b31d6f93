from __future__ import annotations

import pytest

from durable_engine import extensions


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_sweeps", {})


def test_sweeps_are_listed_by_name_and_replaced_by_a_later_registration() -> None:
    extensions.register_sweep("b", lambda: 0, 5)
    extensions.register_sweep("a", lambda: 0, 1)
    extensions.register_sweep("b", lambda: 1, 7)

    assert [(sweep.name, sweep.every_seconds) for sweep in extensions.sweeps()] == [("a", 1), ("b", 7)]


def test_a_sweep_without_a_period_is_refused() -> None:
    with pytest.raises(ValueError, match="every_seconds of the sweep 'a' must be more than 0"):
        extensions.register_sweep("a", lambda: 0, 0)
