"""One running installation for all tests of the API's clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from durable_engine.services.api_keys import KeyPair
from tests.api.site import Site, make_key


@pytest.fixture(scope="session")
def running_site(django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Started once; the logs of every process stay for a while."""
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        with django_db_blocker.unblock():
            site.start()
        yield site
    finally:
        site.end()


@pytest.fixture
def site(running_site: Site, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """The installation, with Django of this process on its database."""
    with django_db_blocker.unblock(), running_site.entered():
        yield running_site


@pytest.fixture
def pair(site: Site) -> KeyPair:
    """A key that may do everything."""
    return make_key()


@pytest.fixture
def client(site: Site, pair: KeyPair) -> Any:
    """A boto3 client that may do everything, whose answers are checked against the model."""
    return site.client(pair)
