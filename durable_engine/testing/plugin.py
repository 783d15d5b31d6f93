"""The pytest plugin: the fixture `durable_runner`, and the AWS alias. Installed with the package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from durable_engine.aws import alias
from durable_engine.sdk.registry import DurableHandler
from durable_engine.testing.runner import DurableFunctionTestRunner

ALIAS = "DURABLE_AWS_ALIAS"

MakeRunner = Callable[[DurableHandler], DurableFunctionTestRunner]


def pytest_configure(config: pytest.Config) -> None:
    """Let handlers import the AWS SDK by its own name where the product would. The kit has no settings to ask."""
    if os.environ.get(ALIAS, "").lower() in {"1", "true", "yes", "on"}:
        alias.install()


@pytest.fixture
def durable_runner() -> Iterator[MakeRunner]:
    """A function that makes a runner of a handler. Each runner is closed when the test is over."""
    made: list[DurableFunctionTestRunner] = []

    def make(handler: DurableHandler) -> DurableFunctionTestRunner:
        made.append(DurableFunctionTestRunner(handler))
        return made[-1]

    yield make
    for runner in made:
        runner.close()
