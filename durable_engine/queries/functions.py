"""The durable functions that can be started, and who serves them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from durable_engine.models import Function
from durable_engine.queries.function_pauses import PauseView, paused_functions
from durable_engine.queries.workers import live_workers
from durable_engine.sdk import registry
from durable_engine.sdk.inputs import input_schema


@dataclass(frozen=True, slots=True)
class FunctionView:
    """One function. All but `versions` and `live_workers` is of the latest version.

    `config` has `execution_timeout_seconds`, `invocation_timeout_seconds`, `queue` and `input_schema` (a JSON Schema,
    or None). `seen_at` is when a worker last registered it, None when only this process knows it. `live_workers` serve
    the latest version.
    """

    name: str
    version: int
    versions: tuple[int, ...]
    description: str
    config: Mapping[str, Any]
    seen_at: datetime | None
    live_workers: int
    pause: PauseView | None = None

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of the input, when the handler names one."""
        return self.config.get("input_schema")


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version. `fingerprint` is of the handler's source, `seen_at` when a worker last registered it."""

    version: int
    config: Mapping[str, Any]
    fingerprint: str
    seen_at: datetime
    live_workers: int


def list_functions() -> list[FunctionView]:
    """Return all functions by name: those in the database and those this process has imported. Three queries."""
    return _views(Function.objects.all(), [handler.name for handler in registry.all_handlers()])


def function_named(name: str) -> FunctionView | None:
    """Return one function, or None if it is unknown."""
    if "\x00" in name:
        return None
    views = _views(Function.objects.filter(name=name), [name] if registry.latest(name) else [])
    return views[0] if views else None


def _views(rows: Iterable[Function], imported: Iterable[str]) -> list[FunctionView]:
    by_name: dict[str, dict[int, Function]] = defaultdict(dict)
    for row in rows:
        by_name[row.name][row.version] = row
    wanted = set(imported)
    for handler in registry.all_handlers():
        if handler.name in wanted:
            by_name[handler.name].setdefault(handler.version, _unsaved(handler))
    serving = [served for worker in live_workers() for served in worker.functions]
    pauses = paused_functions()
    return [_view(versions, serving, pauses.get(name)) for name, versions in sorted(by_name.items())]


def versions_of(name: str) -> list[VersionView]:
    """Return the versions of a function that workers registered, the newest first. Two queries."""
    serving = [served for worker in live_workers() for served in worker.functions]
    rows = Function.objects.filter(name=name).order_by("-version")
    return [
        VersionView(row.version, row.config, row.fingerprint, row.seen_at, serving.count(f"{name}:{row.version}"))
        for row in rows
    ]


def _unsaved(handler: registry.DurableHandler) -> Function:
    config = {"queue": handler.queue, "input_schema": input_schema(handler.input)}
    return Function(name=handler.name, version=handler.version, description=handler.description, config=config)


def _view(versions: Mapping[int, Function], serving: list[str], pause: PauseView | None) -> FunctionView:
    latest = versions[max(versions)]
    return FunctionView(
        name=latest.name,
        version=latest.version,
        versions=tuple(sorted(versions, reverse=True)),
        description=latest.description,
        config=latest.config,
        seen_at=None if latest._state.adding else latest.seen_at,
        live_workers=serving.count(f"{latest.name}:{latest.version}"),
        pause=pause,
    )
