"""The one place that reads the environment: every variable with its type, default and example.

A bad value, a missing one or an unknown `DURABLE_*` or `PERDURE_*` name stops the start with one line that says what to
do.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from durable_engine.config import values

BASE_DIR = Path(__file__).resolve().parents[2]
PREFIXES = ("DURABLE_", "PERDURE_")


class EnvironmentProblem(Exception):
    """A variable is missing, unknown or has a bad value; the message names it, the problem and an example."""

    def __init__(self, name: str, problem: str, example: str) -> None:
        super().__init__(f"{name}: {problem}. Example: {name}={example}")
        self.name = name


def _variable(name: str, parse: Callable[[str], Any], example: str, default: Any = None) -> Any:
    return field(default=default, metadata={"name": name, "parse": parse, "example": example})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the environment says, with the defaults filled in. Durations are seconds."""

    # One machine over plain http, as `manage.py up` runs it: generated secret key, no TLS rules, static files served
    # from the apps. On by default when DATABASE_URL is unset.
    local: bool = _variable("PERDURE_LOCAL", values.flag, "1")
    # Data of the embedded servers, the generated secret key and run.json.
    home: Path = _variable("PERDURE_HOME", values.path, "/var/lib/perdure", BASE_DIR / ".perdure")
    # Unset: the embedded servers of `home`.
    database_url: str | None = _variable(
        "DATABASE_URL", values.database_url, "postgresql://perdure:password@127.0.0.1:5432/perdure"
    )
    broker_url: str | None = _variable("BROKER_URL", values.broker_url, "redis://127.0.0.1:6379/0")
    # Unset: the generated one of `home`, in local mode only.
    secret_key: str | None = _variable(
        "SECRET_KEY", values.secret_key, "$(python3 -c 'import secrets; print(secrets.token_urlsafe(48))')"
    )
    debug: bool = _variable("DEBUG", values.flag, "1", False)
    allowed_hosts: tuple[str, ...] = _variable("ALLOWED_HOSTS", values.hosts, "perdure.example.com,10.0.0.5", ())
    csrf_trusted_origins: tuple[str, ...] = _variable(
        "CSRF_TRUSTED_ORIGINS", values.origins, "https://perdure.example.com", ()
    )
    # Unset: `manage.py up` takes the first free port from 8000 up.
    port: int | None = _variable("PORT", values.port, "8000")
    email_url: str = _variable(
        "EMAIL_URL", values.email_url, "smtp+tls://user:password@mail.example.com:587", "console://"
    )

    # Django apps with a durable_functions.py; the examples in local mode.
    durable_apps: tuple[str, ...] = _variable("DURABLE_APPS", values.modules, "orders,billing.workflows")
    # Lets handlers written against the AWS SDK import it under its own name.
    aws_alias: bool = _variable("DURABLE_AWS_ALIAS", values.flag, "1", False)
    # A worker not heard of for this long has lost its executions.
    lease_seconds: float = _variable("DURABLE_LEASE_SECONDS", values.seconds, "30", 30.0)
    heartbeat_seconds: float = _variable("DURABLE_HEARTBEAT_SECONDS", values.seconds, "5", 5.0)
    # The longest sleep of the scheduler between two rounds of sweeps.
    scheduler_tick_seconds: float = _variable("DURABLE_SCHEDULER_TICK_SECONDS", values.seconds, "1", 1.0)
    # Claims without progress after which an execution is paused, and the base of the back-off between them.
    max_crashes: int = _variable("DURABLE_MAX_CRASHES", values.count, "5", 5)
    crash_backoff_seconds: float = _variable("DURABLE_CRASH_BACKOFF_SECONDS", values.seconds_or_zero, "5", 5.0)
    worker_concurrency: int = _variable("DURABLE_WORKER_CONCURRENCY", values.count, "2", 2)
    queues: tuple[str, ...] = _variable("DURABLE_QUEUES", values.names, "durable,slow", ("durable",))
    # Stands before every key in the broker, so that two installations can share one server.
    key_prefix: str = _variable("DURABLE_KEY_PREFIX", values.name, "durable.", "durable.")
    # 0 is no limit, which a long migration needs.
    statement_timeout_seconds: float = _variable(
        "DURABLE_STATEMENT_TIMEOUT_SECONDS", values.seconds_or_zero, "15", 15.0
    )
    # (id, secret) pairs: the first signs callback ids, all verify. Unset: derived from the secret key.
    callback_keys: tuple[tuple[str, str], ...] = _variable(
        "DURABLE_CALLBACK_KEYS",
        values.callback_keys,
        "k2:new-secret-of-32-characters-or-more,k1:old-secret-of-32-characters-or-more",
        (),
    )
    # For tests of failure: named places where a process stops, dies or loses a reply.
    failpoints: str = _variable("DURABLE_FAILPOINTS", str, "checkpoint.after_commit=exit", "")


EXAMPLES: Mapping[str, str] = {entry.metadata["name"]: entry.metadata["example"] for entry in fields(Environment)}


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Read and check every variable.

    Raises:
        EnvironmentProblem: for the first variable that is unknown, bad or missing.
    """
    _refuse_unknown(environ)
    given: dict[str, Any] = {}
    for entry in fields(Environment):
        name, text = entry.metadata["name"], environ.get(entry.metadata["name"], "").strip()
        if not text:
            continue
        try:
            given[entry.name] = entry.metadata["parse"](text)
        except ValueError as problem:
            raise EnvironmentProblem(name, str(problem), EXAMPLES[name]) from None
    given.setdefault("local", "database_url" not in given)
    given.setdefault("durable_apps", ("examples",) if given["local"] else ())
    environment = Environment(**given)
    _check_together(environment)
    return environment


def read_environment_or_exit(environ: Mapping[str, str]) -> Environment:
    """Read the environment; on a problem write its one line to stderr and end the process with status 2."""
    try:
        return read_environment(environ)
    except EnvironmentProblem as problem:
        sys.stderr.write(f"perdure: {problem}\n")
        raise SystemExit(2) from None


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    for name in sorted(environ):
        if name.startswith(PREFIXES) and name not in EXAMPLES:
            close = next(iter(get_close_matches(name, EXAMPLES, n=1, cutoff=0.8)), None)
            if close:
                raise EnvironmentProblem(close, f"misspelt as {name}", EXAMPLES[close])
            known = ", ".join(sorted(known for known in EXAMPLES if known.startswith(PREFIXES)))
            raise EnvironmentProblem(
                name, f"there is no such variable; the ones of this kind are {known}", "(remove it)"
            )


def _check_together(environment: Environment) -> None:
    if environment.heartbeat_seconds * 2 > environment.lease_seconds:
        raise EnvironmentProblem(
            "DURABLE_HEARTBEAT_SECONDS",
            f"{environment.heartbeat_seconds:g} s is more than half of DURABLE_LEASE_SECONDS "
            f"({environment.lease_seconds:g} s), so one late heartbeat would lose a running execution",
            f"{environment.lease_seconds / 6:.3g}",
        )
    if environment.local:
        return
    for name, missing in (
        ("DATABASE_URL", environment.database_url is None),
        ("BROKER_URL", environment.broker_url is None),
        ("SECRET_KEY", environment.secret_key is None),
        ("ALLOWED_HOSTS", not environment.allowed_hosts and not environment.debug),
    ):
        if missing:
            reason = "PERDURE_LOCAL=0" if environment.database_url is None else "DATABASE_URL is set"
            raise EnvironmentProblem(
                name, f"needed because {reason} (PERDURE_LOCAL=1 is for one machine over plain http)", EXAMPLES[name]
            )
