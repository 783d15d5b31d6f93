"""Handlers written against the AWS Durable Execution SDK for Python run unchanged: its modules, backed by ours.

`install()` makes `aws_durable_execution_sdk_python` and its public sub-modules importable. `DURABLE_AWS_ALIAS=1` calls
it in every process of the product and in pytest.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

PACKAGE: Final = "aws_durable_execution_sdk_python"

# The testing package of AWS has one of its own beside it.
TESTING: Final = f"{PACKAGE}_testing"

_SDK: Final = "durable_engine.sdk"
_HERE: Final = "durable_engine.aws"

# Which of our modules hold the names of each of theirs. Later ones win.
MODULES: Final[dict[str, tuple[str, ...]]] = {
    "": (_SDK, f"{_HERE}.root"),
    "concurrency": (),
    "concurrency.models": (f"{_SDK}.concurrency",),
    "config": (f"{_SDK}.config", f"{_SDK}.durations", f"{_SDK}.concurrency"),
    "context": (f"{_SDK}.context", f"{_SDK}.types"),
    "exceptions": (f"{_SDK}.exceptions", f"{_HERE}.exceptions"),
    "execution": (f"{_SDK}.execution", f"{_HERE}.root"),
    "filesystem_serdes": (f"{_SDK}.filesystem_serdes",),
    "identifier": (f"{_HERE}.identifier",),
    "lambda_service": (f"{_SDK}.types", f"{_HERE}.lambda_service"),
    "logger": (f"{_SDK}.logger", f"{_HERE}.logger"),
    "plugin": (f"{_SDK}.plugin", f"{_SDK}.types"),
    "preview": (f"{_SDK}.preview",),
    "retries": (f"{_SDK}.config", f"{_SDK}.types", f"{_SDK}.retries"),
    "serdes": (f"{_SDK}.serdes",),
    "types": (f"{_SDK}.types", f"{_SDK}.lambda_context", f"{_HERE}.types"),
    "waits": (f"{_SDK}.config", f"{_SDK}.waits"),
}


_KIT: Final = "durable_engine.testing.aws"
TESTING_MODULES: Final[dict[str, tuple[str, ...]]] = {"": (_KIT,), "runner": (_KIT,)}


class AliasRefused(Exception):
    """The names are taken by the real package; the message says what to do."""


def install() -> None:
    """Make the AWS names importable; once is enough, more does no harm.

    Raises:
        AliasRefused: the real package has been imported already, so some handlers would get its classes.
    """
    if any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        return
    imported = next((name for name in (PACKAGE, TESTING) if name in sys.modules), None)
    if imported is not None:
        origin = getattr(sys.modules[imported], "__file__", "?")
        raise AliasRefused(
            f"{imported} is installed and already imported ({origin}). Uninstall it, or unset DURABLE_AWS_ALIAS and "
            "import from durable_engine"
        )
    sys.meta_path.insert(0, _AliasFinder())


def uninstall() -> None:
    """Take the names back, for tests."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _AliasFinder)]
    for name in [name for name in sys.modules if name.partition(".")[0] in (PACKAGE, TESTING)]:
        del sys.modules[name]


def is_real_package_installed() -> bool:
    """Whether the package itself could be imported from the path, hidden by the alias or not."""
    return PathFinder.find_spec(PACKAGE) is not None


class _AliasFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        modules = {PACKAGE: MODULES, TESTING: TESTING_MODULES}.get(package)
        if modules is None:
            return None
        if name not in modules:
            known = ", ".join(f"{package}.{each}" for each in modules if each)
            raise ModuleNotFoundError(
                f"{fullname} has no counterpart in Perdure; there are {known}. See docs/aws-compatibility.md",
                name=fullname,
            )
        return ModuleSpec(fullname, _AliasLoader(modules[name]), is_package=name in {"", "concurrency"})


class _AliasLoader(Loader):
    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = sources

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # A module of its own that lends the names: ours keep theirs, so an error shows where a class really lives.
        for source in self._sources:
            lender = importlib.import_module(source)
            names = getattr(lender, "__all__", None) or [name for name in vars(lender) if not name.startswith("_")]
            for name in names:
                setattr(module, name, getattr(lender, name))
