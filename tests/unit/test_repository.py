"""Rules of the repository that no linter knows."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from durable_engine.config.env import BASE_DIR

PYPROJECT: dict[str, Any] = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())
LOCKED = {
    "requirements.txt": PYPROJECT["project"]["dependencies"],
    "requirements-embedded.txt": [
        *PYPROJECT["project"]["dependencies"],
        *PYPROJECT["project"]["optional-dependencies"]["embedded"],
    ],
    "requirements-dev.txt": [
        *PYPROJECT["project"]["dependencies"],
        *PYPROJECT["project"]["optional-dependencies"]["embedded"],
        *PYPROJECT["dependency-groups"]["test"],
        *PYPROJECT["dependency-groups"]["lint"],
    ],
}
# In parts, so that this file does not break its own rule.
REGISTRIES = re.compile(
    "|".join(["pypi" + r"\.org", "python" + r"hosted\.org", "registry" + r"\.npm", r"deb\.deb" + "ian"])
)
MAY_HAVE_CONTENT = {
    *(f"durable_engine/{name}__init__.py" for name in ("", "sdk/", "models/")),
    *(f"approvals/{name}__init__.py" for name in ("", "models/")),
    # Importing it is how the examples are found.
    "examples/durable_functions/__init__.py",
}


def tracked_files() -> list[Path]:
    """Return the files that belong to the project: in git, or new and not ignored."""
    # The owner of a checkout may be another user, as in a container; nothing is executed here.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=True)
    return [path for line in listing.stdout.splitlines() if (path := BASE_DIR / line).is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """Return name and text of every text file."""
    for path in tracked_files():
        try:
            yield path.relative_to(BASE_DIR).as_posix(), path.read_text()
        except UnicodeDecodeError:
            continue


def pins(file: str) -> dict[str, Version]:
    """Return the pinned versions of a requirements file."""
    found = re.findall(r"^([a-z0-9-]+)==(\S+)", (BASE_DIR / file).read_text(), re.MULTILINE)
    return {name: Version(version) for name, version in found}


@pytest.mark.parametrize("file", LOCKED)
def test_the_lock_satisfies_what_the_project_asks_for(file: str) -> None:
    locked = pins(file)

    for requirement in map(Requirement, LOCKED[file]):
        assert requirement.specifier.contains(locked[requirement.name]), requirement


@pytest.mark.parametrize("file", LOCKED)
def test_every_dependency_has_an_upper_bound(file: str) -> None:
    for requirement in map(Requirement, LOCKED[file]):
        assert any(part.operator == "<" for part in requirement.specifier), requirement


@pytest.mark.parametrize("file", [*LOCKED, "requirements-uv.txt"])
def test_every_locked_package_has_a_hash_and_none_names_a_place(file: str) -> None:
    text = (BASE_DIR / file).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text)

    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"https?:|file:|--index|--extra-index|--find-links| @ ", text)


def test_the_same_package_has_the_same_version_in_every_lock() -> None:
    everything = pins("requirements-dev.txt")

    for file in LOCKED:
        assert {name: everything[name] for name in pins(file)} == pins(file)


def test_no_file_names_a_package_registry() -> None:
    assert [name for name, text in texts() if REGISTRIES.search(text)] == []


def test_package_markers_are_empty_except_where_names_are_published() -> None:
    full = [name for name, text in texts() if name.endswith("__init__.py") and text.strip()]

    assert set(full) <= MAY_HAVE_CONTENT


def test_a_long_module_says_why_at_its_top() -> None:
    long = [
        name
        for name, text in texts()
        if name.endswith(".py")
        and "/migrations/" not in name
        and text.count("\n") > 400
        and "400 lines" not in text[:2000]
    ]

    assert long == []


def test_no_template_has_what_the_content_security_policy_refuses() -> None:
    refused = re.compile(
        r"<style|\sstyle=|<script(?![^>]*\ssrc=)(?![^>]*application/json)|\son[a-z]+=|javascript:", re.IGNORECASE
    )

    assert [name for name, text in texts() if name.endswith(".html") and refused.search(text)] == []


def test_what_a_machine_makes_is_not_in_the_repository() -> None:
    names = {path.relative_to(BASE_DIR).as_posix() for path in tracked_files()}

    assert not {name for name in names if name.startswith((".venv/", ".perdure/", "staticfiles/")) or name == "uv.lock"}
