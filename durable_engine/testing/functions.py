"""The functions that an invoke finds in a test: those given to the runner, then those registered in this process."""

from __future__ import annotations

from durable_engine.core.ports import Target, UnknownFunction
from durable_engine.sdk import registry
from durable_engine.sdk.function_names import known_first, not_found
from durable_engine.sdk.registry import DurableHandler


class KnownFunctions:
    """Names and the handlers behind them."""

    def __init__(self) -> None:
        self._given: dict[str, DurableHandler] = {}

    def add(self, name: str, handler: DurableHandler) -> None:
        """Make a handler known under a name, whatever its own name is."""
        self._given[name] = handler

    def find(self, name: str, version: int | None) -> Target:
        """Return the function in that version or the newest.

        Raises:
            UnknownFunction: there is none.
        """
        handler = self._given.get(name)
        if handler is None:
            handler = registry.latest(name) if version is None else registry.get(name, version)
        if handler is None:
            raise UnknownFunction(self._problem(name, version))
        timeout = handler.execution_timeout
        seconds = None if timeout is None else timeout.to_seconds()
        return Target(name, handler.version, handler.queue, seconds)

    def handler(self, name: str, version: int) -> DurableHandler:
        """Return the handler of a function that was found."""
        handler = self._given.get(name) or registry.get(name, version)
        if handler is None:
            raise UnknownFunction(self._problem(name, version))
        return handler

    def _problem(self, name: str, version: int | None) -> str:
        versions = [str(handler.version) for handler in registry.all_handlers() if handler.name == name]
        if versions:
            return " ".join(not_found(name, version, versions))
        names = sorted({*self._given, *(handler.name for handler in registry.all_handlers())})
        return " ".join(not_found(name, None, known_first(name, names)))
