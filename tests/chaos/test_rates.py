"""Places that have killed less than the others kill more often from then on."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.rates import FIRST_PERCENT, MOST_PERCENT, Rates, percent_of


def test_a_place_that_is_behind_kills_more_often_and_one_that_is_ahead_less() -> None:
    first = FIRST_PERCENT["claim.committed"]

    assert percent_of("claim.committed", done=100, wanted=100) == first
    assert percent_of("claim.committed", done=50, wanted=100) > 2 * first
    assert percent_of("claim.committed", done=200, wanted=100) < first / 2
    assert percent_of("release.committed", done=0, wanted=1000) == MOST_PERCENT


def test_only_kills_of_the_same_place_count(tmp_path: Path) -> None:
    record = tmp_path / "kills"
    record.write_text("kill claim.committed 1\n" * 50 + "lose_reply close.committed 2\n" * 50)
    entries = Rates(record).failpoints(["claim.committed", "close.committed"]).split(",")
    percents = {entry.split("=")[0]: float(entry.rpartition("%")[2]) for entry in entries}

    assert all(f"kill:{record}" in entry for entry in entries)
    assert percents["claim.committed"] < FIRST_PERCENT["claim.committed"] / 100
    assert percents["close.committed"] >= FIRST_PERCENT["close.committed"]
