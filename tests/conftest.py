"""Fixtures of every test: real servers, and the environment of processes that share the test's database."""

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models.signals import post_migrate
from pytest_django.plugin import DjangoDbBlocker

from durable_engine.embedded import paths
from durable_engine.embedded.broker import Broker
from durable_engine.embedded.postgres import PostgresCluster
from tests.emptying import Emptying
from tests.settings import XDIST_WORKER

SERVERS = pytest.StashKey[list[PostgresCluster | Broker]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start what is missing, once for the run: xdist's workers use the servers of the process that started them."""
    # Playwright's synchronous calls keep an event loop running in the thread of the test, where Django would then
    # refuse its database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    started: list[PostgresCluster | Broker] = []
    config.stash[SERVERS] = started
    if XDIST_WORKER or config.option.help or config.option.collectonly:
        return
    home = settings.PERDURE_HOME
    if os.environ["DATABASE_URL"] == paths.database_url(home):
        started.append(PostgresCluster(home, durable=False))
    if os.environ["BROKER_URL"] == paths.broker_url(home):
        started.append(Broker(home))
    for server in started:
        server.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers of the run and remove what they wrote."""
    started = config.stash[SERVERS]
    for server in reversed(started):
        server.stop()
    if not XDIST_WORKER:
        shutil.rmtree(settings.PERDURE_HOME, ignore_errors=True)
        paths.remove_socket_directory(settings.PERDURE_HOME)


def pytest_report_header() -> str:
    """Say which servers the run uses; a password in a URL is not shown."""
    database = settings.DATABASES["default"]
    return f"postgres: {database['HOST']}:{database['PORT'] or 5432}  broker: {settings.BROKER_URL.rpartition('@')[2]}"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Make the test database, keep the groups that a migration made, and end what is still connected at the end.

    A transactional test ends by emptying every table, for all tests after it. A session left behind, of a thread or of
    a process that is just going, would keep the database from being removed.
    """
    migration = import_module("durable_engine.migrations.0002_groups")
    of_approvals = import_module("approvals.migrations.0002_append_only")

    def restore_groups(**_: Any) -> None:
        migration.create_groups(apps, None)
        of_approvals.give_rights(apps, None)

    # Emptying sends it too, which is how Django brings its permissions back.
    post_migrate.connect(restore_groups, sender=apps.get_app_config("durable_engine"), weak=False)
    with django_db_blocker.unblock():
        Emptying()
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def postgres_url(django_db_setup: None) -> str:
    """The URL of the database this test's process uses, for processes that the test starts."""
    return urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


@pytest.fixture
def broker_url() -> Iterator[str]:
    """The URL of the broker, with the keys of this run removed before and after the test."""
    remove_keys()
    yield settings.BROKER_URL
    remove_keys()


@pytest.fixture
def process_env(postgres_url: str, broker_url: str) -> dict[str, str]:
    """The environment of a worker, scheduler or web process that works on this test's database and broker.

    What such a process writes is committed, so the test needs `transactional_db` (or `django_db(transaction=True)`).
    """
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
        "DATABASE_URL": postgres_url,
        "BROKER_URL": broker_url,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PYTHONUNBUFFERED": "1",
    }


def remove_keys() -> None:
    """Delete every key of this run from the broker."""
    with redis_client() as client:
        for key in client.scan_iter(match=f"{settings.DURABLE_KEY_PREFIX}*", count=1000):
            client.delete(key)


def redis_client() -> "redis.Redis":
    """Return a client of the run's broker."""
    url = settings.BROKER_URL
    if url.startswith("redis+socket://"):
        return redis.Redis(unix_socket_path=url.removeprefix("redis+socket://").partition("?")[0])
    return redis.Redis.from_url(url)
