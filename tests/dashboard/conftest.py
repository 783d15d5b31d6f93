"""People of each role, logged in."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.seeds import person

LogIn = Callable[..., Client]


@pytest.fixture
def log_in(db: None) -> LogIn:
    """Return a function that makes a user in the named groups and gives a logged-in client."""

    def enter(*groups: str) -> Client:
        client = Client()
        client.force_login(person("-".join(groups).lower().replace(" ", "-") or "nobody", *groups))
        return client

    return enter
