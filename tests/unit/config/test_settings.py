"""What the settings promise: safe in a deployment, usable over plain http on one machine."""

import os
import subprocess
import sys
from pathlib import Path

from durable_engine.config.databases import database_settings
from durable_engine.config.env import BASE_DIR

DEPLOYMENT = {
    "DATABASE_URL": "postgresql://perdure:p%40ss@127.0.0.1:1/perdure?sslmode=require",
    "BROKER_URL": "redis://127.0.0.1:1/3",
    "SECRET_KEY": "vT0p6yWqk2m9Rj4sLx8Zb1Nc5Hd7Gf3Ae-QwErTyUiOpAsDfGh",
    "ALLOWED_HOSTS": "perdure.example.com",
    "DURABLE_APPS": "examples",
}


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the project with nothing but the given environment."""
    return subprocess.run(
        [sys.executable, *command],
        env={"PATH": os.environ["PATH"], **env},
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_djangos_deployment_check_has_nothing_to_say() -> None:
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **DEPLOYMENT)

    assert "System check identified no issues" in done.stdout + done.stderr
    assert done.returncode == 0


def test_static_files_build_for_a_deployment(tmp_path: Path) -> None:
    program = (
        "import sys, django; django.setup(); from django.conf import settings; "
        "from django.core.management import call_command; "
        "settings.STATIC_ROOT = sys.argv[1]; call_command('collectstatic', interactive=False)"
    )
    done = run(
        "-W",
        "error",
        "-c",
        program,
        str(tmp_path),
        DJANGO_SETTINGS_MODULE="durable_engine.config.settings",
        **DEPLOYMENT,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "staticfiles.json").exists()
    assert list(tmp_path.glob("django_htmx/htmx-2.min.*.js.br")), "htmx is hashed and compressed"


def test_a_database_url_becomes_djangos_settings() -> None:
    found = database_settings(DEPLOYMENT["DATABASE_URL"], statement_timeout_seconds=0.5)

    assert {key: found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "perdure",
        "USER": "perdure",
        "PASSWORD": "p@ss",
        "HOST": "127.0.0.1",
        "PORT": "1",
    }
    assert found["OPTIONS"]["sslmode"] == "require"
    assert "statement_timeout=500 " in found["OPTIONS"]["options"]


def test_what_the_url_says_about_the_connection_wins() -> None:
    found = database_settings("postgresql://h/d?connect_timeout=2", statement_timeout_seconds=15)

    assert found["OPTIONS"]["connect_timeout"] == "2"


def test_durable_apps_adds_apps_whose_handlers_are_found(tmp_path: Path) -> None:
    app = tmp_path / "shop"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "durable_functions.py").write_text(
        "from durable_engine import durable_execution\n\n\n"
        "@durable_execution(name='ship')\ndef ship(event, context):\n    return None\n"
    )
    program = (
        "import django; django.setup(); from durable_engine.sdk import registry; "
        "print(*(handler.name for handler in registry.all_handlers()))"
    )
    env = DEPLOYMENT | {"DURABLE_APPS": "examples,shop", "PYTHONPATH": str(tmp_path)}
    done = run("-c", program, DJANGO_SETTINGS_MODULE="durable_engine.config.settings", **env)

    assert {"ship", "order-processing"} <= set(done.stdout.split()), done.stderr


def test_an_app_without_handlers_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    done = run("manage.py", "check", **DEPLOYMENT | {"DURABLE_APPS": "examples,shop", "PYTHONPATH": str(tmp_path)})

    (warning,) = [line for line in done.stderr.splitlines() if "durable_engine.W003" in line]
    assert "DURABLE_APPS names shop, which has no module durable_functions." in warning
    assert "shop/durable_functions.py" in done.stderr
    assert done.returncode == 0


def test_a_module_of_handlers_that_is_named_itself_is_not_warned_of(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from durable_engine import durable_execution\n\n\n"
        "@durable_execution(name='ship')\ndef ship(event, context):\n    return None\n"
    )
    done = run("manage.py", "check", **DEPLOYMENT | {"DURABLE_APPS": "examples,shop", "PYTHONPATH": str(tmp_path)})

    assert "durable_engine.W003" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_an_app_that_is_not_there_is_named_in_one_line_with_the_place_where_it_was_looked_for() -> None:
    done = run("manage.py", "check", **DEPLOYMENT | {"DURABLE_APPS": "examples,shopp.orders"})

    (line,) = done.stderr.splitlines()
    assert line.startswith("perdure: DURABLE_APPS: there is no package 'shopp'")
    assert str(BASE_DIR) in line
    assert done.returncode == 2


def test_tracing_is_a_plugin_of_every_function() -> None:
    program = (
        "import django; django.setup(); from durable_engine.sdk import registry; "
        "print(*{type(each).__name__ for handler in registry.all_handlers() for each in registry.plugins_of(handler)})"
    )
    env = DEPLOYMENT | {"DURABLE_TRACING": "1", "DURABLE_TRACING_RATIO": "0.1"}
    done = run("-c", program, DJANGO_SETTINGS_MODULE="durable_engine.config.settings", **env)

    assert done.stdout.split() == ["TracingPlugin"], done.stderr


def test_the_health_check_fails_when_postgres_does_not_answer() -> None:
    program = (
        "import django; django.setup(); from django.test import Client; "
        "response = Client().get('/healthz', headers={'host': 'perdure.example.com'}); "
        "print(response.status_code, response.content.decode())"
    )
    done = run("-c", program, DJANGO_SETTINGS_MODULE="durable_engine.config.settings", **DEPLOYMENT)

    assert done.stdout.split() == ["503", "database", "unreachable"], done.stderr
