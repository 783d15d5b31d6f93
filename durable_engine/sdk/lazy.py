"""`register`: functions whose module is imported when they first run, with environment variables of their own."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from durable_engine.sdk import registry
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.execution import check_callable, checked_name, optional_duration
from durable_engine.sdk.registry import DurableHandler

Loader = Callable[[], Any]

# Environment variables belong to the process: of functions that bring their own, one runs at a time.
_environment = threading.RLock()


@dataclass(frozen=True, eq=False)
class LazyHandler(DurableHandler):
    """A handler that is not loaded yet; `func` is its loader."""

    env: Mapping[str, str] = field(default_factory=dict)
    durable: bool = True
    _cache: list[DurableHandler] = field(default_factory=list, repr=False)

    def __call__(self, event: Any, context: Any) -> Any:
        """Call the function itself, without durability, in its environment."""
        with self.environment():
            return self.loaded().func(event, context)

    def loaded(self) -> DurableHandler:
        """Return the handler to run; call it inside `environment`.

        Raises:
            ValidationError: the loader returned something that cannot run.
            Exception: whatever the loader raised.
        """
        if not self._cache:
            # A handler that the loaded module decorates is found under our name, not under its own.
            with registry.unregistered():
                self._cache.append(self._made(self.func()))
        return self._cache[0]

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Have its environment variables set."""
        if not self.env:
            yield
            return
        with _environment:
            before = {key: os.environ.get(key) for key in self.env}
            os.environ.update(self.env)
            try:
                yield
            finally:
                for key, value in before.items():
                    if value is None:
                        os.environ.pop(key, None)
                    else:
                        os.environ[key] = value

    def _made(self, loaded: object) -> DurableHandler:
        where = f"the function that the loader of {self.name!r} returned"
        if isinstance(loaded, DurableHandler):
            if not self.durable:
                raise ValidationError(f"{where} is a durable handler: register it without durable=False")
            return replace(
                loaded.loaded(),
                name=self.name,
                version=self.version,
                execution_timeout=self.execution_timeout,
                queue=self.queue,
            )
        function = check_callable(loaded, where)
        return DurableHandler(
            name=self.name,
            version=self.version,
            func=function if self.durable else _plain(function),
            execution_timeout=self.execution_timeout,
            invocation_timeout=self.invocation_timeout,
            queue=self.queue,
            description=inspect.getdoc(function) or "",
        )


def register(
    name: str,
    loader: Loader,
    *,
    env: Mapping[str, str] | None = None,
    durable: bool = True,
    execution_timeout: Duration | timedelta | None = None,
) -> DurableHandler:
    """Register a function under a name, to be loaded when it first runs in a process.

    `loader()` returns a handler made by `@durable_execution`, or a function `(event, context)`. With `durable=False` it
    returns a plain function, the target of an `invoke`, that is given a stand-in for the Lambda context of AWS; it
    runs at least once. `env` are environment variables that it has while it is loaded and whenever it runs.

    Raises:
        ValidationError: an argument cannot be used, or the name is taken.
    """
    if not callable(loader):
        raise ValidationError(f"loader: {loader!r} must be a function without arguments that returns the handler")
    handler = LazyHandler(
        name=checked_name(name),
        version=1,
        func=loader,
        execution_timeout=optional_duration("execution_timeout", execution_timeout),
        env=_checked_env(env),
        durable=durable,
    )
    registry.register(handler)
    return handler


def _plain(function: Callable[..., Any]) -> Callable[[Any, DurableContext], Any]:
    def run(event: Any, context: DurableContext) -> Any:
        return function(event, context.lambda_context)

    return run


def _checked_env(env: object) -> dict[str, str]:
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise ValidationError(f"env: {env!r} must map names of environment variables to texts")
    for key, value in env.items():
        if not isinstance(key, str) or not key or "=" in key or "\x00" in key:
            raise ValidationError(f"env: {key!r} is no name of an environment variable")
        if not isinstance(value, str) or "\x00" in value:
            raise ValidationError(f"env: {key} must be a text, not {value!r}")
    return dict(env)
