"""What the documentation shows works: snippets run, links lead somewhere, tables name what exists."""

import argparse
import importlib
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from approvals.testing import Asked, Reply, answer, auto
from durable_engine.config.env import BASE_DIR, EXAMPLES
from durable_engine.management.durable_arguments import add_arguments
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.testing.runner import DurableFunctionTestRunner

PAGES = [BASE_DIR / "README.md", BASE_DIR / "CONTRIBUTING.md", *sorted((BASE_DIR / "docs").rglob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```(?:sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
EVENT = {"order": "A-1", "order_id": "A-1", "sku": "mug"}
ANSWER = '{"pieces": 3}'
VALUES: dict[str, object] = {"string": "text", "integer": 3, "number": 3.5, "boolean": True, "array": []}
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


def test_no_snippet_takes_a_name_of_the_examples_beside_which_it_is_tried() -> None:
    taken = {handler.name for handler in registry.all_handlers() if handler.func.__module__.startswith("examples.")}
    assert "order-processing" in taken
    for where, text in SNIPPETS.items():
        with registry.isolated():
            exec(compile(text, where, "exec"), {"__name__": "documentation"})
            assert not taken & {handler.name for handler in registry.all_handlers()}, where


def run(handler: DurableHandler) -> str:
    """Run a handler in memory, answer its callbacks, and return how it ended."""
    with DurableFunctionTestRunner(handler) as runner, auto(runner) as people:
        arn = runner.run_async(json.dumps({"address": "a@example.com"} if handler.input else EVENT))
        execution = runner.execution(arn)
        while execution.status == "SUSPENDED":
            callback_id = runner.wait_for_callback(arn)
            asked = next((each for each in people.asked.values() if each.callback_id == callback_id), None)
            if asked is None:
                runner.send_callback_success(callback_id, ANSWER)
            else:
                people.reply(asked.name, agreeing(asked))
        return execution.status


def agreeing(asked: Asked) -> Reply:
    """Press the first button, and fill in what the form requires."""
    form = asked.spec.subject["form"] or {}
    values = {name: VALUES[form["properties"][name]["type"]] for name in form.get("required", ())}
    button = asked.spec.subject["choices"][0]["key"]
    return answer(button, data=values, comment="fine")


@pytest.mark.parametrize(("language", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_what_is_shown_as_data_can_be_read(language: str, parse: Callable[[str], object]) -> None:
    blocks = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    shown = [block for page in PAGES for block in blocks.findall(page.read_text())]

    assert shown
    assert all(parse(block) for block in shown)


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


def test_every_durable_command_that_is_shown_is_one_and_every_one_is_named() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    shown = [
        shlex.split(line.replace("…", ""), comments=True)
        for page in PAGES
        for block in SHELL.findall(page.read_text())
        for line in re.findall(r"manage\.py durable (.*)", block)
    ]
    assert shown
    for arguments in shown:
        parser.parse_args(arguments)

    page = (BASE_DIR / "docs/command-line.md").read_text()
    subcommands = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    assert [name for name in subcommands.choices if f"`durable {name}" not in page] == []


def test_the_tables_of_rights_name_every_group_and_permission_of_the_migration() -> None:
    page = (BASE_DIR / "docs/security.md").read_text()
    migration = importlib.import_module("durable_engine.migrations.0002_groups")

    assert [group for group in migration.GROUPS if f"| {group} |" not in page] == []
    assert [codename for codename in migration.PERMISSIONS if f"{codename}`" not in page] == []


def test_a_number_names_one_decision() -> None:
    numbers = [page.name[:4] for page in PAGES if page.parent.name == "decisions"]

    assert len(numbers) == len(set(numbers))


def test_the_table_of_examples_names_every_one() -> None:
    page = (BASE_DIR / "docs/examples.md").read_text()
    files = (BASE_DIR / "examples/durable_functions").glob("[a-z]*.py")

    assert [file.name for file in files if f"durable_functions/{file.name})" not in page] == []


def test_every_test_that_is_named_exists() -> None:
    # CONTRIBUTING.md names those of an operation type that is not there yet.
    pages = (page.read_text() for page in PAGES if page.name != "CONTRIBUTING.md")
    named = {name for page in pages for name in re.findall(r"`(tests/[\w/]+\.py(?:::\w+)*)`", page)}
    assert named

    missing = []
    for name in sorted(named):
        path, *parts = name.split("::")
        text = (BASE_DIR / path).read_text() if (BASE_DIR / path).is_file() else None
        if text is None or not all(re.search(rf"(?:def|class) {part}\b", text) for part in parts):
            missing.append(name)
    assert missing == []


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made from their texts."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(page.read_text())}
