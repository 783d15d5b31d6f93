"""Which functions run elsewhere, on the engine's own connection: workers look with every heartbeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from durable_engine.storage.connection import EngineConnection

_READ = (
    "SELECT name, version, url, queue, invocation_timeout_seconds, execution_timeout_seconds"
    " FROM durable_remote_function ORDER BY name, version"
)


class StoredRemote(NamedTuple):
    """One version of a function. Times are seconds."""

    name: str
    version: int
    url: str
    queue: str
    invocation_timeout_seconds: float
    execution_timeout_seconds: float | None


def read_remote_functions(connection: EngineConnection) -> list[StoredRemote]:
    """Return all of them."""
    return [StoredRemote(*row) for row in connection.execute(_READ)]


def show_functions(connection: EngineConnection, worker_id: UUID, functions: Sequence[str]) -> None:
    """Show in the worker's row that it serves these functions now, `name:version` each."""
    connection.execute(
        "UPDATE durable_worker SET functions = to_jsonb(%s::text[]) WHERE id = %s", (list(functions), worker_id)
    )
