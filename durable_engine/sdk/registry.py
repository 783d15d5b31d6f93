"""The durable functions this process has imported, by name and version."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from durable_engine.sdk.durations import Duration
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.limits import ConcurrencyLimit
from durable_engine.sdk.serdes import SerDes

# Imported from every installed app: where its handlers are.
HANDLER_MODULE = "durable_functions"


@dataclass(frozen=True, eq=False)
class DurableHandler:
    """A registered handler: what `@durable_execution` makes of a function.

    Calling it calls the function, so plain tests can pass a context of their own. `execution_timeout` None means no
    limit, `retention` None that the installation decides.
    """

    name: str
    version: int
    func: Callable[..., Any]
    execution_timeout: Duration | None = None
    invocation_timeout: Duration = field(default_factory=lambda: Duration.from_minutes(15))
    retention: Duration | None = None
    limit: ConcurrencyLimit | None = None
    queue: str = "durable"
    serdes: SerDes[Any] | None = None
    input: type | Mapping[str, Any] | None = None
    masked_keys: tuple[str, ...] = ()
    plugins: tuple[object, ...] = ()
    description: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        # By hand what functools.update_wrapper would assign: the class is frozen.
        for attribute in functools.WRAPPER_ASSIGNMENTS:
            object.__setattr__(self, attribute, getattr(self.func, attribute, None))
        object.__setattr__(self, "__wrapped__", self.func)

    def __call__(self, event: Any, context: Any) -> Any:
        """Call the function itself, without durability."""
        return self.func(event, context)

    def loaded(self) -> DurableHandler:
        """Return the handler to run: itself, unless it is loaded lazily."""
        return self

    def environment(self) -> AbstractContextManager[None]:
        """Return the context in which it is loaded and runs."""
        return nullcontext()

    @property
    def key(self) -> str:
        """`name:version`, as workers announce what they serve."""
        return f"{self.name}:{self.version}"


_handlers: dict[tuple[str, int], DurableHandler] = {}
_plugins: tuple[object, ...] = ()
_is_unregistered: ContextVar[bool] = ContextVar("durable_engine_is_unregistered", default=False)


def register(handler: DurableHandler) -> None:
    """Make a handler known to this process.

    Raises:
        ValidationError: another function already has that name and version.
    """
    if _is_unregistered.get():
        return
    known = _handlers.get((handler.name, handler.version))
    if known is not None and _origin(known) != _origin(handler):
        raise ValidationError(
            f"name: {handler.name!r} version {handler.version} is already the function {_origin(known)}; "
            f"{_origin(handler)} needs another name= or version="
        )
    _put({**_handlers, (handler.name, handler.version): handler})


def unregister(name: str, version: int) -> None:
    """Forget a handler; without effect if there is none."""
    _put({key: handler for key, handler in _handlers.items() if key != (name, version)})


def get(name: str, version: int) -> DurableHandler | None:
    """Return the handler of exactly that name and version, or None."""
    return _handlers.get((name, version))


def latest(name: str) -> DurableHandler | None:
    """Return the highest version of a name, or None."""
    versions = [handler for handler in _handlers.values() if handler.name == name]
    return max(versions, key=lambda handler: handler.version, default=None)


def all_handlers() -> list[DurableHandler]:
    """Return every registered handler, by name, then version."""
    handlers = _handlers
    return [handlers[key] for key in sorted(handlers)]


def add_plugin(plugin: object) -> None:
    """Have a plugin told of every function of this process, before those that it names itself."""
    global _plugins
    _plugins = (*_plugins, plugin)


def plugins_of(handler: DurableHandler) -> tuple[object, ...]:
    """Return the plugins that are told of a handler's invocations."""
    return (*_plugins, *handler.plugins)


@contextmanager
def unregistered() -> Iterator[None]:
    """Let handlers be made that are not registered, in this thread."""
    token = _is_unregistered.set(True)
    try:
        yield
    finally:
        _is_unregistered.reset(token)


@contextmanager
def isolated() -> Iterator[None]:
    """Start with an empty registry and put the old one back afterwards; for tests."""
    global _plugins
    saved, plugins = _handlers, _plugins
    _put({})
    try:
        yield
    finally:
        _put(saved)
        _plugins = plugins


def _put(handlers: dict[tuple[str, int], DurableHandler]) -> None:
    # Replaced, not changed: other threads may be going through it.
    global _handlers
    _handlers = handlers


def _origin(handler: DurableHandler) -> str:
    return f"{handler.func.__module__}.{handler.func.__qualname__}"
