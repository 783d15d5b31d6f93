"""docker-compose.yml: valid by the Compose schema, and every command and variable it names exists."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from durable_engine.config.env import BASE_DIR, EXAMPLES

FILE = BASE_DIR / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"migrate", "web", "worker", "scheduler"}
STATEFUL = {"postgres": "/var/lib/postgresql/data", "redis": "/data"}


def test_the_file_follows_the_compose_schema() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_it_has_every_process_of_the_product_and_the_two_servers() -> None:
    assert set(SERVICES) == OURS | set(STATEFUL)


def commands() -> list[tuple[str, list[str]]]:
    """Return every command line of our own image: what services run and what health checks ask."""
    found = [(name, SERVICES[name]["command"]) for name in sorted(OURS)]
    checks = [
        (name, SERVICES[name]["healthcheck"]["test"][1:]) for name in sorted(OURS) if "healthcheck" in SERVICES[name]
    ]
    return found + checks


@pytest.mark.parametrize(("service", "command"), commands())
def test_every_command_exists(service: str, command: list[str]) -> None:
    program, *arguments = command
    if program == "python":
        script, name, *rest = arguments
        assert (BASE_DIR / script).is_file()
        parser = load_command_class(get_commands()[name], name).create_parser(script, name)
        # Exits with an error on an argument that the command does not take.
        parser.parse_args(rest)
    else:
        assert program in {script.name for script in entry_points(group="console_scripts")}


def test_web_and_worker_name_applications_that_exist() -> None:
    assert callable(import_module(SERVICES["web"]["command"][1]).application)
    options = dict(word.split("=", 1) for word in SERVICES["worker"]["command"] if "=" in word)
    app = import_module(f"{options['--app']}.celery").app
    assert app.conf.task_default_queue == "durable"


@pytest.mark.parametrize(("service", "program"), [("web", "gunicorn"), ("worker", "celery")])
def test_web_and_worker_options_are_known_to_their_programs(service: str, program: str) -> None:
    help_of = [sys.executable, "-m", program, *(["worker"] if program == "celery" else []), "--help"]
    known = subprocess.run(help_of, capture_output=True, text=True, check=True, cwd=BASE_DIR).stdout
    used = [word.partition("=")[0] for word in SERVICES[service]["command"] if word.startswith("--")]

    # `--app` belongs to celery itself, before its command.
    assert [option for option in used if option not in known and option != "--app"] == []


@pytest.mark.parametrize("service", sorted(OURS))
def test_only_variables_that_the_product_reads_are_set(service: str) -> None:
    names = set(SERVICES[service]["environment"])

    assert names - set(EXAMPLES) <= {"REMAP_SIGTERM"}
    assert {"DATABASE_URL", "BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS"} <= names


def test_no_secret_has_a_default() -> None:
    text = FILE.read_text()

    for name in ("SECRET_KEY", "POSTGRES_PASSWORD"):
        assert f"${{{name}:?" in text
        assert f"${{{name}:-" not in text
        assert f"${{{name}}}" not in text


@pytest.mark.parametrize("service", sorted(OURS - {"migrate"}))
def test_nothing_starts_before_the_database_is_ready_and_migrated(service: str) -> None:
    conditions = {name: wait["condition"] for name, wait in SERVICES[service]["depends_on"].items()}

    assert conditions == {"postgres": "service_healthy", "migrate": "service_completed_successfully"}


@pytest.mark.parametrize(("service", "directory"), STATEFUL.items())
def test_the_servers_keep_their_data_in_volumes_and_are_watched(service: str, directory: str) -> None:
    volume, _, target = SERVICES[service]["volumes"][0].partition(":")

    assert volume in COMPOSE["volumes"]
    assert target == directory
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


def test_the_worker_has_more_time_to_stop_than_its_invocations_have() -> None:
    app = import_module("durable_engine.config.celery").app

    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > app.conf.worker_soft_shutdown_timeout


def test_the_image_installs_the_locked_requirements_and_runs_as_an_ordinary_user() -> None:
    lines = Path(BASE_DIR / "Dockerfile").read_text().splitlines()

    assert any("--require-hashes -r requirements.txt" in line for line in lines)
    assert lines.index("USER perdure") < next(number for number, line in enumerate(lines) if line.startswith("CMD"))
