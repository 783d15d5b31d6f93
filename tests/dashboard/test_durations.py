import pytest

from dashboard.durations import in_words, offset, relative


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 ms"),
        (0, "0 ms"),
        (0.34, "340 ms"),
        (0.9996, "1 s"),
        (1.25, "1.2 s"),
        (10, "10 s"),
        (59.96, "1 min 00 s"),
        (184, "3 min 04 s"),
        (3600, "1 h 00 min"),
        (90_000, "1 d 01 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds_ago", "words"),
    [
        (0.4, "now"),
        (1, "1 second ago"),
        (119, "1 minute ago"),
        (7200, "2 hours ago"),
        (200_000, "2 days ago"),
        (-103, "in 1 min 43 s"),
    ],
)
def test_relative_times_are_spelt_out(seconds_ago: float, words: str) -> None:
    assert relative(seconds_ago) == words


def test_offsets_tell_neighbours_apart() -> None:
    assert offset(12.456) == "+12.46 s"
    assert offset(7260) == "+2 h 01 min 00 s"
