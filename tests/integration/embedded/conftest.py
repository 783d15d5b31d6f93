"""A home directory of its own for each test, without servers left behind."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_engine.embedded import paths


@pytest.fixture
def home() -> Iterator[Path]:
    """A home whose path is deep and has spaces; only its owner can enter it."""
    top = Path(tempfile.mkdtemp(prefix="perdure test "))
    directory = top / ("deep " * 20) / "home"
    yield directory
    shutil.rmtree(top)
    shutil.rmtree(paths.socket_directory(directory), ignore_errors=True)
