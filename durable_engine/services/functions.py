"""Which durable functions exist: those this process has imported and those some worker has served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from durable_engine.models import Function
from durable_engine.sdk import registry
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.function_names import parse_function_name
from durable_engine.sdk.inputs import input_schema
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.exceptions import FunctionNotFound, InvalidInput
from durable_engine.storage.functions import StoredFunction, read_functions

DEFAULT_QUEUE: Final = "durable"
MAX_VERSION: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class KnownFunction:
    """One version of a function, as far as starting it needs. `handler` is None when only workers have it."""

    name: str
    version: int
    queue: str
    execution_timeout_seconds: float | None
    max_concurrency: int | None
    handler: DurableHandler | None
    refuses_starts: str = ""  # why, when it is paused in that way


def register_served_functions() -> None:
    """Write down every function this process has imported, in the registry that all processes read.

    Workers call it at their start, so that a process without a handler's code can still start it, and people see it.
    """
    rows = [
        Function(
            name=handler.name,
            version=handler.version,
            description=handler.description,
            config=config_of(handler),
            fingerprint=handler.fingerprint,
        )
        # Sorted by the registry: workers that start together wait for each other instead of deadlocking.
        for handler in registry.all_handlers()
    ]
    Function.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["name", "version"],
        # Of two workers with different code under one version the last to start describes it.
        update_fields=["description", "config", "fingerprint", "seen_at"],
    )


def known_functions(wanted: Iterable[tuple[str, int | None]]) -> dict[tuple[str, int | None], KnownFunction]:
    """Look up functions by name and version, None for the latest version, in one query.

    Raises:
        FunctionNotFound: naming the known functions, close matches first.
        InvalidInput: a version isn't a whole number from 1.
    """
    keys = list(wanted)
    by_name: dict[str, dict[int, KnownFunction]] = defaultdict(dict)
    refusals: dict[str, str] = {}
    names = {name for name, _ in keys if _is_text(name)}
    for row in read_functions(names):
        by_name[row.name][row.version] = _from_row(row)
        refusals[row.name] = row.refusal
    for handler in registry.all_handlers():
        if handler.name in names:
            known = _from_handler(handler, refusals.get(handler.name, ""))
            by_name[handler.name][handler.version] = known
    return {key: _choose(*key, by_name) for key in keys}


def reference_of(name: Any, version: int | None) -> tuple[str, int | None]:
    """Return name and version of a function that is named as `name:version` or by its ARN; others as they are.

    Raises:
        InvalidInput: it names a version, and another one is given.
    """
    if not isinstance(name, str) or ":" not in name:
        return name, version
    try:
        reference = parse_function_name(name)
    except ValidationError:
        return name, version
    if version is not None and reference.version not in (None, version):
        raise InvalidInput("version", f"{version} is not the version in {name!r}.", "Give one of them.")
    return reference.name, reference.version if version is None else version


def function_names() -> list[str]:
    """Return the names of all known functions, sorted."""
    rows = Function.objects.order_by("name").values_list("name", flat=True).distinct()
    return sorted({*rows, *(handler.name for handler in registry.all_handlers())})


def _choose(name: str, version: Any, by_name: dict[str, dict[int, KnownFunction]]) -> KnownFunction:
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or version < 1):
        raise InvalidInput("version", f"{version!r} is not a version.", "Give a whole number from 1, or none.")
    versions = by_name.get(name) if _is_text(name) else None
    if not versions:
        raise FunctionNotFound(name, function_names())
    if version is None:
        return versions[max(versions)]
    if version not in versions:
        raise FunctionNotFound(name, [str(known) for known in versions], version=version)
    return versions[version]


def _is_text(name: object) -> bool:
    # Postgres refuses a NUL in a query; no function has one in its name.
    return isinstance(name, str) and "\x00" not in name


def _from_row(row: StoredFunction) -> KnownFunction:
    return KnownFunction(
        name=row.name,
        version=row.version,
        queue=row.config.get("queue", DEFAULT_QUEUE),
        execution_timeout_seconds=row.config.get("execution_timeout_seconds"),
        max_concurrency=row.config.get("max_concurrency"),
        handler=None,
        refuses_starts=row.refusal,
    )


def _from_handler(handler: DurableHandler, refusal: str) -> KnownFunction:
    return KnownFunction(
        name=handler.name,
        version=handler.version,
        queue=handler.queue,
        execution_timeout_seconds=_seconds(handler.execution_timeout),
        max_concurrency=None if handler.limit is None else handler.limit.count,
        handler=handler,
        refuses_starts=refusal,
    )


def config_of(handler: DurableHandler) -> dict[str, Any]:
    """Return what the registry keeps of a handler beside its name, version, description and fingerprint."""
    return {
        "execution_timeout_seconds": _seconds(handler.execution_timeout),
        "invocation_timeout_seconds": _seconds(handler.invocation_timeout),
        "retention_seconds": _seconds(handler.retention),
        "max_concurrency": None if handler.limit is None else handler.limit.count,
        "concurrency_scope": None if handler.limit is None else handler.limit.scope.value,
        "queue": handler.queue,
        "input_schema": input_schema(handler.input),
        "masked_keys": list(handler.masked_keys),
    }


def _seconds(duration: Duration | None) -> float | None:
    return None if duration is None else duration.to_seconds()
