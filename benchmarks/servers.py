"""The Postgres and the broker of a run: embedded ones, or those that DATABASE_URL and BROKER_URL name."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from durable_engine.embedded import paths
from durable_engine.embedded.broker import Broker
from durable_engine.embedded.postgres import PostgresCluster


@dataclass(frozen=True)
class Servers:
    """Where the run works. `home` holds the logs; `pids` are the servers that are ours."""

    home: Path
    database_url: str
    broker_url: str
    key_prefix: str
    pids: tuple[int, ...]

    def environment(self) -> dict[str, str]:
        """The variables that make Django and every process started later work on these servers."""
        return {
            "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
            "DATABASE_URL": self.database_url,
            "BROKER_URL": self.broker_url,
            "PERDURE_LOCAL": "1",
            "PERDURE_HOME": str(self.home),
            "DURABLE_APPS": "benchmarks",
            "DURABLE_KEY_PREFIX": self.key_prefix,
        }


@contextmanager
def running_servers(environ: Mapping[str, str]) -> Iterator[Servers]:
    """Start what is not given; stop it and remove every trace at the end, whatever ends the run."""
    name = f"bench_{secrets.token_hex(4)}"
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="perdure-bench-"))
        stack.callback(paths.remove_socket_directory, home)
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        pids: list[int | None] = []
        database_url = environ.get("DATABASE_URL", "").strip()
        if database_url:
            database_url = stack.enter_context(_database(database_url, name))
        else:
            cluster = PostgresCluster(home)
            stack.callback(cluster.stop)
            cluster.start()
            database_url = cluster.url()
            pids.append(cluster.pid)
        broker_url = environ.get("BROKER_URL", "").strip()
        if broker_url:
            stack.callback(_remove_keys, broker_url, f"{name}.")
        else:
            broker = Broker(home)
            stack.callback(broker.stop)
            broker.start()
            broker_url = broker.url
            pids.append(broker.pid)
        yield Servers(home, database_url, broker_url, f"{name}.", tuple(pid for pid in pids if pid))


@contextmanager
def _database(url: str, name: str) -> Iterator[str]:
    """Make a database of our own on a server that is in use, so that nothing of the others is touched."""
    quoted = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(quoted))
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(quoted))


def _remove_keys(url: str, prefix: str) -> None:
    on_socket = url.startswith("redis+socket://")
    path = url.removeprefix("redis+socket://").partition("?")[0]
    client = redis.Redis(unix_socket_path=path) if on_socket else redis.Redis.from_url(url)
    with client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Change the environment, for this process and for those it starts meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
