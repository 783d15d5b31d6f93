"""What is hidden is hidden wherever it stands, and nothing else is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_engine.queries.masking import MASK, masked, normal_key

KEYS = frozenset(map(normal_key, ("password", "card_number")))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "password", "cardNumber", 'p"w', "PASSWORD "]), inner, max_size=4)
    ),
    max_leaves=12,
)


def hidden(value: Any) -> Any:
    """The same by another way: on the parsed value."""
    if isinstance(value, dict):
        return {key: MASK if normal_key(key) in KEYS else hidden(child) for key, child in value.items()}
    return [hidden(child) for child in value] if isinstance(value, list) else value


@given(JSON, st.sampled_from([None, 2]))
def test_the_values_of_the_keys_are_replaced_at_any_depth_and_nothing_else(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert json.loads(masked(text, KEYS)) == hidden(value)
    assert masked(text, frozenset()) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"password": "x", "n": 12345678901234567890.10}', f'{{"password": "{MASK}", "n": 12345678901234567890.10}}'),
        ('{"card-number": {"a": [1, {"b": 2}]}, "x": 1}', f'{{"card-number": "{MASK}", "x": 1}}'),
        ('{"password": "a", "password": "b"}', f'{{"password": "{MASK}", "password": "{MASK}"}}'),
        ('{"pass\\u0077ord": 1}', f'{{"pass\\u0077ord": "{MASK}"}}'),
        ('["password", "x"]', '["password", "x"]'),
        ('{"a": "password: 1"}', '{"a": "password: 1"}'),
        ('{"password": "never ends', f'{{"password": "{MASK}"'),
        ('{"password": 1} {"b": 2}', f'{{"password": "{MASK}"'),
        ("password=hunter2", "password=hunter2"),
        ("", ""),
    ],
)
def test_numbers_order_and_doubled_keys_stay_as_they_are_stored(text: str, shown: str) -> None:
    assert masked(text, KEYS) == shown


@pytest.mark.parametrize("hostile", ["[" * 50_000, '{"password":' * 20_000, '"' * 50_001, "\\" * 50_000, '{"password"'])
def test_a_text_made_to_be_slow_or_wrong_does_no_harm(hostile: str) -> None:
    assert isinstance(masked(hostile, KEYS), str)
