import pytest

from durable_engine.queries.callbacks import callback_label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("approval create callback id", "approval"),  # made by wait_for_callback
        ("create callback id", ""),
        ("approval", "approval"),
        (None, ""),
    ],
)
def test_people_see_the_name_that_the_author_gave(name: str | None, label: str) -> None:
    assert callback_label(name) == label
