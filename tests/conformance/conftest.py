"""The stores that must behave alike."""

from __future__ import annotations

import pytest

from tests.conformance.driver import Driver, MemoryDriver


@pytest.fixture(params=["memory"])
def runner(request: pytest.FixtureRequest) -> Driver:
    """A store under test, with nothing in it."""
    return MemoryDriver()
