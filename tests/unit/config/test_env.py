"""The environment: each variable has a default, a type and a message that says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable_engine.config import env
from durable_engine.config.env import BASE_DIR, EXAMPLES, EnvironmentProblem, read_environment

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"
DEPLOYMENT = {
    "DATABASE_URL": "postgresql://perdure:p%40ss@db.internal:5433/perdure?sslmode=require",
    "BROKER_URL": "rediss://:secret@cache.internal:6380/3",
    "SECRET_KEY": SECRET,
    "ALLOWED_HOSTS": "perdure.example.com",
}


def test_nothing_set_means_one_machine_with_embedded_servers_and_the_examples() -> None:
    environment = read_environment({})

    assert environment.local
    assert environment.home == BASE_DIR / ".perdure"
    assert (environment.database_url, environment.broker_url, environment.secret_key) == (None, None, None)
    assert environment.durable_apps == ("examples",)
    assert not environment.debug
    assert (environment.lease_seconds, environment.heartbeat_seconds, environment.scheduler_tick_seconds) == (30, 5, 1)
    assert (environment.max_crashes, environment.crash_backoff_seconds) == (5, 5)
    assert (environment.worker_concurrency, environment.queues, environment.port) == (2, ("durable",), None)


def test_a_deployment_has_no_examples_and_is_not_local() -> None:
    environment = read_environment(DEPLOYMENT)

    assert not environment.local
    assert environment.durable_apps == ()
    assert environment.allowed_hosts == ("perdure.example.com",)


def test_every_value_arrives_with_its_type() -> None:
    environment = read_environment(
        {
            **DEPLOYMENT,
            "DEBUG": "yes",
            "ALLOWED_HOSTS": "a.example.com, .example.org,10.0.0.5,[::1]",
            "CSRF_TRUSTED_ORIGINS": "https://a.example.com,http://localhost:8001",
            "PORT": "8080",
            "EMAIL_URL": "smtps://user:pw@mail.example.com",
            "PERDURE_HOME": "/var/lib/perdure",
            "DURABLE_APPS": "orders, billing.workflows",
            "DURABLE_AWS_ALIAS": "1",
            "DURABLE_LEASE_SECONDS": "2",
            "DURABLE_HEARTBEAT_SECONDS": "0.5",
            "DURABLE_SCHEDULER_TICK_SECONDS": "0.1",
            "DURABLE_MAX_CRASHES": "3",
            "DURABLE_CRASH_BACKOFF_SECONDS": "0",
            "DURABLE_WORKER_CONCURRENCY": "8",
            "DURABLE_QUEUES": "durable,slow",
            "DURABLE_KEY_PREFIX": "team-a.",
            "DURABLE_STATEMENT_TIMEOUT_SECONDS": "0",
            "DURABLE_CALLBACK_KEYS": f"k2:{SECRET},k1:{SECRET[::-1]}",
            "EMAIL_FROM": "Perdure <perdure@example.com>",
            "PERDURE_PUBLIC_URL": "https://perdure.example.com/",
            "DURABLE_WEBHOOKS": f"crm=https://crm.example.com/a?b=c|{SECRET} erp=http://erp/|{SECRET}",
            "DURABLE_APPRISE": "team=slack://a/b/c ops=ntfy://perdure",
            "DURABLE_FAILPOINTS": "checkpoint.after_commit=exit",
        }
    )

    assert environment.debug
    assert environment.aws_alias
    assert environment.allowed_hosts == ("a.example.com", ".example.org", "10.0.0.5", "[::1]")
    assert environment.csrf_trusted_origins == ("https://a.example.com", "http://localhost:8001")
    assert environment.port == 8080
    assert environment.home == Path("/var/lib/perdure")
    assert environment.durable_apps == ("orders", "billing.workflows")
    assert (environment.lease_seconds, environment.heartbeat_seconds) == (2.0, 0.5)
    assert (environment.max_crashes, environment.crash_backoff_seconds, environment.worker_concurrency) == (3, 0.0, 8)
    assert environment.queues == ("durable", "slow")
    assert environment.key_prefix == "team-a."
    assert environment.statement_timeout_seconds == 0
    assert environment.callback_keys == (("k2", SECRET), ("k1", SECRET[::-1]))
    assert environment.public_url == "https://perdure.example.com"
    assert environment.email_from == "Perdure <perdure@example.com>"
    assert environment.webhooks == (("crm", "https://crm.example.com/a?b=c", SECRET), ("erp", "http://erp/", SECRET))
    assert environment.apprise == (("team", "slack://a/b/c"), ("ops", "ntfy://perdure"))
    assert environment.failpoints == "checkpoint.after_commit=exit"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DATABASE_URL", "mysql://db/perdure", "must begin with postgresql://"),
        ("DATABASE_URL", "postgresql://db:5432", "database's name is missing"),
        ("DATABASE_URL", "postgresql://db:70000/perdure", "not a port"),
        ("DATABASE_URL", "postgresql://db/perdure?shape=round", "not a URL that libpq can read"),
        ("BROKER_URL", "amqp://localhost", "must begin with redis://"),
        ("BROKER_URL", "redis:///0", "host is missing"),
        ("BROKER_URL", "redis://cache:99999/0", "port is not a number"),
        ("BROKER_URL", "redis://cache/first", "not the number of a Redis database"),
        ("BROKER_URL", "redis+socket://run/redis.sock", "must be absolute"),
        ("SECRET_KEY", "short", "too easy to guess"),
        ("SECRET_KEY", "a" * 60, "too easy to guess"),
        ("DEBUG", "maybe", "neither on"),
        ("PERDURE_LOCAL", "2", "neither on"),
        ("PERDURE_HOME", __file__, "not a directory"),
        ("ALLOWED_HOSTS", "https://a.example.com", "not a host name"),
        ("ALLOWED_HOSTS", "a.example.com:8000", "not a host name"),
        ("ALLOWED_HOSTS", ",", "list is empty"),
        ("CSRF_TRUSTED_ORIGINS", "a.example.com", "not an origin"),
        ("CSRF_TRUSTED_ORIGINS", "https://a.example.com/login", "not an origin"),
        ("PORT", "80a", "not a port"),
        ("PORT", "0", "not a port"),
        ("PORT", "65536", "not a port"),
        ("EMAIL_URL", "imap://mail", "must begin with console://"),
        ("EMAIL_URL", "smtp://", "host is missing"),
        ("DURABLE_APPS", "orders-app", "not the dotted name"),
        ("DURABLE_AWS_ALIAS", "yes please", "neither on"),
        ("DURABLE_LEASE_SECONDS", "soon", "not a number of seconds"),
        ("DURABLE_LEASE_SECONDS", "0", "more than 0"),
        ("DURABLE_LEASE_SECONDS", "nan", "not between"),
        ("DURABLE_LEASE_SECONDS", "inf", "not between"),
        ("DURABLE_LEASE_SECONDS", "8", "more than half of DURABLE_LEASE_SECONDS"),
        ("DURABLE_HEARTBEAT_SECONDS", "-1", "not between"),
        ("DURABLE_HEARTBEAT_SECONDS", "16", "more than half of DURABLE_LEASE_SECONDS"),
        ("DURABLE_SCHEDULER_TICK_SECONDS", "1e9", "not between"),
        ("DURABLE_MAX_CRASHES", "0", "whole number from 1"),
        ("DURABLE_MAX_CRASHES", "2.5", "whole number from 1"),
        ("DURABLE_CRASH_BACKOFF_SECONDS", "-0.1", "not between"),
        ("DURABLE_WORKER_CONCURRENCY", "٣", "whole number from 1"),
        ("DURABLE_QUEUES", "durable,has space", "1 to 64 letters"),
        ("DURABLE_KEY_PREFIX", "a*", "1 to 64 letters"),
        ("DURABLE_STATEMENT_TIMEOUT_SECONDS", "x", "not a number of seconds"),
        ("DURABLE_CALLBACK_KEYS", SECRET, "entry 1 is not id:secret"),
        ("EMAIL_FROM", "nobody", "not a mail address"),
        ("PERDURE_PUBLIC_URL", "https://a.example.com/path", "not an origin"),
        ("DURABLE_WEBHOOKS", "https://crm.example.com", "entry 1 is not name=url"),
        ("DURABLE_WEBHOOKS", f"crm=ftp://crm|{SECRET}", "must begin with https://"),
        ("DURABLE_WEBHOOKS", "crm=https://crm.example.com|short", "fewer than 32"),
        ("DURABLE_WEBHOOKS", f"a=https://a|{SECRET} a=https://b|{SECRET}", "there twice"),
        ("DURABLE_APPRISE", "team=slack", "must begin with its kind"),
        ("DURABLE_CALLBACK_KEYS", "k1:short", "fewer than 32"),
        ("DURABLE_CALLBACK_KEYS", f"k1:{SECRET},k1:{SECRET}", "there twice"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_the_problem_and_an_example(name: str, value: str, problem: str) -> None:
    with pytest.raises(EnvironmentProblem) as refused:
        read_environment({name: value})

    message = str(refused.value)
    assert problem in message
    assert f"Example: {refused.value.name}=" in message
    assert "\n" not in message
    # The lease is judged together with the heartbeat, whose name is the one to change.
    assert message.startswith("DURABLE_HEARTBEAT_SECONDS:" if problem.startswith("more than half") else f"{name}:")


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "DURABLE_CALLBACK_KEYS",
        "DATABASE_URL",
        "BROKER_URL",
        "EMAIL_URL",
        "DURABLE_WEBHOOKS",
        "DURABLE_APPRISE",
    ],
)
def test_no_message_repeats_a_secret(name: str) -> None:
    secret = "hunter2hunter2"
    bad = {
        "SECRET_KEY": secret,
        "DURABLE_CALLBACK_KEYS": f"k1:{secret}",
        "DATABASE_URL": f"postgresql://me:{secret}%zz@db/perdure",
        "BROKER_URL": f"redis://:{secret}@cache:99999/0",
        "EMAIL_URL": f"smtp://me:{secret}@mail:99999",
        "DURABLE_WEBHOOKS": f"crm=https://crm.example.com|{secret}",
        "DURABLE_APPRISE": f"team={secret}",
    }
    with pytest.raises(EnvironmentProblem) as refused:
        read_environment({name: bad[name]})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_in_the_message_is_a_good_value(name: str) -> None:
    example = SECRET if name == "SECRET_KEY" else EXAMPLES[name]

    assert read_environment({**DEPLOYMENT, name: example}).broker_url


def test_a_misspelt_name_is_refused_with_the_right_one() -> None:
    with pytest.raises(EnvironmentProblem, match="DURABLE_LEASE_SECONDS: misspelt as DURABLE_LEASE_SECOND"):
        read_environment({"DURABLE_LEASE_SECOND": "3"})


@pytest.mark.parametrize("name", ["DURABLE_COFFEE", "PERDURE_TEA"])
def test_an_unknown_name_of_ours_is_refused_with_the_list_of_known_ones(name: str) -> None:
    with pytest.raises(EnvironmentProblem, match=rf"{name}: there is no such variable.*DURABLE_QUEUES"):
        read_environment({name: "1"})


def test_names_of_other_programs_are_not_our_business() -> None:
    assert read_environment({"HOME": "/root", "REDIS_URL": "nonsense"}).broker_url is None


def test_an_empty_value_counts_as_unset() -> None:
    assert read_environment({"PORT": "", "DATABASE_URL": " "}) == read_environment({})


@pytest.mark.parametrize("missing", ["BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS"])
def test_a_deployment_does_not_start_without_what_it_needs(missing: str) -> None:
    given = {name: value for name, value in DEPLOYMENT.items() if name != missing}

    with pytest.raises(EnvironmentProblem, match=rf"^{missing}: needed because DATABASE_URL is set"):
        read_environment(given)


def test_tracing_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_environment({"DURABLE_TRACING": "1", "DURABLE_TRACING_RATIO": "0.25"}).tracing_ratio == 0.25
    monkeypatch.setattr(env, "find_spec", lambda name: None)

    assert not read_environment({}).tracing
    with pytest.raises(EnvironmentProblem, match=r"^DURABLE_TRACING: needs the package opentelemetry-api"):
        read_environment({"DURABLE_TRACING": "1"})


@pytest.mark.parametrize("text", ["-0.1", "1.1", "half", "nan"])
def test_a_ratio_is_a_part_of_the_whole(text: str) -> None:
    with pytest.raises(EnvironmentProblem, match=r"^DURABLE_TRACING_RATIO: .* is not a number from 0 to 1"):
        read_environment({"DURABLE_TRACING_RATIO": text})


def test_switching_local_mode_off_asks_for_a_database() -> None:
    with pytest.raises(EnvironmentProblem, match=r"^DATABASE_URL: needed because PERDURE_LOCAL=0"):
        read_environment({"PERDURE_LOCAL": "0"})


def test_local_mode_takes_a_running_database_without_asking_for_more() -> None:
    environment = read_environment({"DATABASE_URL": "postgresql:///perdure", "PERDURE_LOCAL": "1"})

    assert environment.local
    assert environment.durable_apps == ("examples",)


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "check"],
        ["manage.py", "up"],
        ["-m", "celery", "-A", "durable_engine.config", "worker"],
        ["-m", "gunicorn", "durable_engine.config.wsgi", "--preload", "--no-control-socket", "--bind", "127.0.0.1:0"],
    ],
    ids=["manage.py", "up", "celery", "gunicorn"],
)
def test_a_bad_value_stops_every_process_with_one_line_and_no_traceback(command: list[str], tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PERDURE_HOME": str(tmp_path), "DURABLE_MAX_CRASHES": "many"}

    done = subprocess.run(
        [sys.executable, *command], env=env, cwd=BASE_DIR, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode != 0
    said = [line for line in (done.stdout + done.stderr).splitlines() if "[INFO]" not in line and line.strip()]
    assert said == [
        "perdure: DURABLE_MAX_CRASHES: 'many' is not a whole number from 1 to 1000. Example: DURABLE_MAX_CRASHES=5"
    ]
