"""Real processes that die. One stack serves the whole run; each module points Django at it while it runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.faults.stack import Run, Stack


@pytest.fixture(scope="session")
def running_stack(django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("faults"))  # kept for a while by pytest, with the logs of every process
    try:
        with django_db_blocker.unblock():
            stack.start()
        yield stack
    finally:
        stack.end()


@pytest.fixture(scope="module", autouse=True)
def entered(running_stack: Stack, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), running_stack.entered():
        yield


@pytest.fixture
def stack(running_stack: Stack) -> Iterator[Stack]:
    running_stack.open_failpoints()
    yield running_stack
    running_stack.open_failpoints()


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Callable[..., Run]:
    """Start an execution of a function with an input."""

    def start(function: str, **event: Any) -> Run:
        directory = Path(tempfile.mkdtemp(dir=tmp_path))
        return Run(directory, function, **event)

    return start
