"""The stores that must behave alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.driver import Driver, MemoryDriver
from tests.conformance.postgres_driver import PostgresDriver


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.django_db(transaction=True))])
def runner(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """A store under test, with nothing in it."""
    if request.param == "memory":
        yield MemoryDriver()
        return
    driver = PostgresDriver()
    yield driver
    driver.close()
