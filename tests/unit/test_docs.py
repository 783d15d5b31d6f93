"""What the documentation shows works: snippets run, links lead somewhere, tables name what exists."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from durable_engine.config.env import BASE_DIR, EXAMPLES
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.testing.runner import DurableFunctionTestRunner

PAGES = [BASE_DIR / "README.md", BASE_DIR / "CONTRIBUTING.md", *sorted((BASE_DIR / "docs").rglob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
EVENT = {"order": "A-1", "order_id": "A-1", "sku": "mug"}
ANSWER = '{"pieces": 3}'
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def snippets() -> Iterator[tuple[str, str]]:
    """Yield an id and the text of every Python snippet."""
    for page in PAGES:
        text = page.read_text()
        for match in SNIPPET.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            yield f"{page.relative_to(BASE_DIR)}:{line}", match[1]


SNIPPETS = dict(snippets())


@pytest.mark.parametrize("where", SNIPPETS)
def test_a_snippet_runs_as_it_stands_and_its_handlers_succeed(where: str) -> None:
    with registry.isolated():
        # Each one is a module of its own: what it uses, it imports.
        exec(compile(SNIPPETS[where], where, "exec"), {"__name__": "documentation"})
        for handler in registry.all_handlers():
            assert run(handler) == "SUCCEEDED"


def run(handler: DurableHandler) -> str:
    """Run a handler in memory, answer its callbacks, and return how it ended."""
    with DurableFunctionTestRunner(handler) as runner:
        arn = runner.run_async(json.dumps({"address": "a@example.com"} if handler.input else EVENT))
        execution = runner.execution(arn)
        while execution.status == "SUSPENDED":
            runner.send_callback_success(runner.wait_for_callback(arn), ANSWER)
        return execution.status


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(BASE_DIR).as_posix())
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_the_table_of_settings_names_every_variable_and_no_other() -> None:
    section = (BASE_DIR / "docs/running.md").read_text().partition("## Settings")[2].partition("\n## ")[0]

    assert sorted(re.findall(r"^\| `([A-Z_]+)`", section, re.MULTILINE)) == sorted(EXAMPLES)


def test_every_command_that_is_named_exists() -> None:
    known = get_commands()
    named = {name for page in PAGES for name in re.findall(r"manage\.py ([a-z_]+)", page.read_text())}

    assert named - set(known) == set()


def test_the_tables_of_rights_name_every_group_and_permission_of_the_migration() -> None:
    page = (BASE_DIR / "docs/security.md").read_text()
    migration = importlib.import_module("durable_engine.migrations.0002_groups")

    assert [group for group in migration.GROUPS if f"| {group} |" not in page] == []
    assert [codename for codename in migration.PERMISSIONS if f"{codename}`" not in page] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made from their texts."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(page.read_text())}
