"""The failpoints that act at random, write down that they acted, or share a place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from durable_engine.storage import failpoints


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def lost(times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            failpoints.hit("close.committed")
        except psycopg.OperationalError:
            count += 1
    return count


@pytest.mark.parametrize(("percent", "least", "most"), [("0", 0, 0), ("100", 1000, 1000), ("5", 10, 120)])
def test_a_percentage_of_the_hits_loses_its_reply(percent: str, least: int, most: int) -> None:
    failpoints.arm(f"close.committed=lose_reply%{percent}")
    assert least <= lost(1000) <= most


def test_what_acted_is_appended_to_the_given_file(tmp_path: Path) -> None:
    record = tmp_path / "done"
    failpoints.arm(f"close.committed=lose_reply:{record}@2")
    assert lost(3) == 1
    assert record.read_text().startswith("lose_reply close.committed ")


def test_entries_of_one_place_act_in_turn(tmp_path: Path) -> None:
    (tmp_path / "close.committed.go").touch()
    failpoints.arm(f"close.committed=hold:{tmp_path},close.committed=lose_reply")
    assert lost(1) == 1
    assert (tmp_path / "close.committed.reached").exists()
