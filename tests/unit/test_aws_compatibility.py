"""The table of AWS names is true: each name is there through the alias, and each test that shows it exists."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from durable_engine.aws import alias
from durable_engine.config.env import BASE_DIR
from tests.unit.test_aws_alias import installed, unloaded  # noqa: F401 - fixtures

PAGE = (BASE_DIR / "docs/aws-compatibility.md").read_text()
ROW = re.compile(r"^\| `([\w.]+)` \| ([a-z ]+) \|(.*)\| (?:`([\w/.]+)::(\w+)`)? ?\|$", re.MULTILINE)
SDK, _, KIT = PAGE.partition("## The testing package")
ROWS = {**{row[1]: row for row in ROW.finditer(SDK)}, **{f"testing:{row[1]}": row for row in ROW.finditer(KIT)}}


def test_the_table_is_read_whole() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| `")]

    assert len(lines) == len(ROWS) > 150
    assert {row[2] for row in ROWS.values()} == {"supported", "improved", "not applicable"}


def test_what_is_not_applicable_has_a_reason_and_all_else_a_test() -> None:
    assert [name for name, row in ROWS.items() if row[2] == "not applicable" and len(row[3]) < 10] == []
    assert [name for name, row in ROWS.items() if row[2] != "not applicable" and row[4] is None] == []


def test_every_test_that_is_named_exists() -> None:
    texts: dict[str, str] = {}
    missing = []
    for row in ROWS.values():
        if row[4] is not None:
            text = texts.setdefault(row[4], (BASE_DIR / row[4]).read_text())
            if not re.search(rf"^ *def {row[5]}\(", text, re.MULTILINE):
                missing.append(f"{row[4]}::{row[5]}")
    assert missing == []


@pytest.mark.usefixtures("installed")
def test_every_name_can_be_imported_through_the_alias() -> None:
    missing = [name for name, row in ROWS.items() if row[2] != "not applicable" and not is_there(name)]

    assert missing == []


@pytest.mark.usefixtures("installed")
def test_names_for_annotations_and_except_clauses_are_there_too() -> None:
    named = [name for name, row in ROWS.items() if "for annotations" in row[3] or "for `except`" in row[3]]

    assert [name for name in named if not is_there(name)] == []
    assert len(named) > 10


def is_there(name: str) -> bool:
    """Whether a name of the table is an attribute of the alias's module, of a class in it, or a field of that."""
    package, _, path = name.rpartition(":")
    modules = alias.TESTING_MODULES if package else alias.MODULES
    module = max((each for each in modules if not each or path.startswith(f"{each}.")), key=len)
    found: Any = importlib.import_module(f"{alias.TESTING if package else alias.PACKAGE}.{module}".rstrip("."))
    for part in path.removeprefix(module).lstrip(".").split("."):
        if part in getattr(found, "__dataclass_fields__", ()):
            return True
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True
