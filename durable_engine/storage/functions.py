"""Look a function up for an invoke, on the engine's own connection: step bodies may be using Django's."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from django.db import connection as django_connection

from durable_engine.core.ports import Target, UnknownFunction
from durable_engine.sdk import registry
from durable_engine.sdk.function_names import known_first, not_found
from durable_engine.storage.connection import EngineConnection

DEFAULT_QUEUE: Final = "durable"

_VERSIONS = "SELECT version, config FROM durable_function WHERE name = %s"
_NAMES = "SELECT DISTINCT name FROM durable_function"


def find_function(connection: EngineConnection, name: str, version: int | None) -> Target:
    """Return the function in that version, or the newest, among those workers served and those of this process.

    Raises:
        UnknownFunction: there is none; names those there are.
    """
    found = {row[0]: _from_row(name, *row) for row in connection.execute(_VERSIONS, [name])}
    found |= {handler.version: target_of(handler) for handler in registry.all_handlers() if handler.name == name}
    if found and version is None:
        return found[max(found)]
    if found and version is not None:
        if version in found:
            return found[version]
        raise UnknownFunction(" ".join(not_found(name, version, [str(known) for known in sorted(found)])))
    names = {row[0] for row in connection.execute(_NAMES)} | {handler.name for handler in registry.all_handlers()}
    raise UnknownFunction(" ".join(not_found(name, None, known_first(name, sorted(names)))))


class StoredFunction(NamedTuple):
    """A version of a function that workers served. `refusal` says by whom its starts are refused, or is empty."""

    name: str
    version: int
    config: dict[str, Any]
    refusal: str


# Asked at every start, so it is not left to the ORM, which would take longer to write it than Postgres to answer.
_READ = """
SELECT f.name, f.version, f.config::text,
       coalesce((SELECT 'by ' || p.paused_by || CASE WHEN p.reason = '' THEN '' ELSE ': ' || p.reason END
                 FROM durable_function_pause p WHERE p.function = f.name AND p.refuses_starts), '')
FROM durable_function f WHERE f.name = ANY(%s)
"""


def read_functions(names: Collection[str]) -> list[StoredFunction]:
    """Return every version of the functions with these names, on Django's connection."""
    with django_connection.cursor() as cursor:
        cursor.execute(_READ, [list(names)])
        return [StoredFunction(name, version, json.loads(config), by) for name, version, config, by in cursor]


def target_of(handler: registry.DurableHandler) -> Target:
    """Return a handler of this process as what an invoke starts."""
    timeout = handler.execution_timeout
    return Target(handler.name, handler.version, handler.queue, None if timeout is None else timeout.to_seconds())


def _from_row(name: str, version: int, config: dict[str, Any]) -> Target:
    return Target(name, version, config.get("queue", DEFAULT_QUEUE), config.get("execution_timeout_seconds"))
