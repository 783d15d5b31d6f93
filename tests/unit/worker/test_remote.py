"""What a handler that runs elsewhere answers, whatever it is."""

from __future__ import annotations

import pytest

from durable_engine.worker.remote import InvocationFailed, _parsed


def test_an_error_in_characters_that_postgres_cannot_hold_is_an_error_like_any_other() -> None:
    text = b'{"errorType": "Bad\\u0000", "errorMessage": "no \\u0000 customer \\ud800"}'
    with pytest.raises(InvocationFailed) as failed:
        _parsed(text, 500, is_error=True)
    assert (failed.value.error_type, str(failed.value)) == (
        "Bad\N{REPLACEMENT CHARACTER}",
        "no \N{REPLACEMENT CHARACTER} customer ?",
    )
