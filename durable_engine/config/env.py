"""The one place that reads the environment: every variable with its type, default and example.

A bad value, a missing one or an unknown `DURABLE_*` or `PERDURE_*` name stops the start with one line that says what to
do.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib.util import find_spec
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

    email_from: str = _variable("EMAIL_FROM", values.email_address, "perdure@example.com", "perdure@localhost")
    # How people reach the pages, for links in messages. Unset: the first allowed host, or this machine.
    public_url: str | None = _variable("PERDURE_PUBLIC_URL", values.origin, "https://perdure.example.com")
    # Where signed events go: name=https://…|secret, separated by spaces. Handlers name them: notify=["webhook:crm"].
    webhooks: tuple[tuple[str, str, str], ...] = _variable(
        "DURABLE_WEBHOOKS",
        values.webhooks,
        "crm=https://crm.example.com/perdure|a-secret-of-32-characters-or-more",
        (),
    )
    # Lets webhooks go to addresses inside the own network.
    webhooks_private: bool = _variable("DURABLE_WEBHOOKS_PRIVATE", values.flag, "1", False)
    # Chat and push by the package apprise: name=url, separated by spaces.
    apprise: tuple[tuple[str, str], ...] = _variable(
        "DURABLE_APPRISE", values.named_urls, "team=slack://token-a/token-b/token-c", ()
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
    # Workers append what handlers log and print as lines of JSON. Unset: no file.
    handler_log: Path | None = _variable("DURABLE_HANDLER_LOG", values.file, "/var/log/perdure.jsonl")
    # What the pages keep of that, of one execution: so many records. 0 keeps none.
    log_records: int = _variable("DURABLE_LOG_RECORDS", values.records, "500", 2000)
    # Stands before every key in the broker, so that two installations can share one server.
    key_prefix: str = _variable("DURABLE_KEY_PREFIX", values.name, "durable.", "durable.")
    # Executions are deleted so long after their end, unless their handler says otherwise. Unset: never.
    retention_days: float | None = _variable("DURABLE_RETENTION_DAYS", values.days, "90")
    # Keys whose values pages hide in payloads, besides those that functions name.
    masked_keys: tuple[str, ...] = _variable(
        "DURABLE_MASKED_KEYS",
        values.names,
        "password,card_number",
        ("password", "secret", "authorization", "access_token", "api_key"),
    )
    # A function (user) -> Q | None of yours: which executions a person may see. Unset: all, to whoever has the right.
    visible_executions: str = _variable(
        "DURABLE_VISIBLE_EXECUTIONS", values.dotted_name, "shop.access.visible_executions", ""
    )
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
    # The first encrypts the secrets of API keys, all decrypt. Unset: derived from the secret key.
    api_secret_keys: tuple[str, ...] = _variable(
        "DURABLE_API_SECRET_KEY", values.secret_keys, "new-secret-of-32-characters-or-more", ()
    )
    # Who asks the API without a signature may do everything. For a closed network only.
    api_anonymous: bool = _variable("DURABLE_API_ANONYMOUS", values.flag, "0", False)
    # Of one key, in one web process.
    api_requests_per_second: int = _variable("DURABLE_API_REQUESTS_PER_SECOND", values.count, "1000", 1000)
    # Calls of Invoke in one web process that wait for a result, and how long each may.
    api_waiters: int = _variable("DURABLE_API_WAITERS", values.count, "4", 4)
    api_wait_seconds: float = _variable("DURABLE_API_WAIT_SECONDS", values.seconds, "900", 900.0)
    # Functions that run elsewhere: name to base URL, or to an object of it and options.
    remote_functions: tuple[dict[str, Any], ...] = _variable(
        "DURABLE_REMOTE_FUNCTIONS", values.remote_functions, '{"price-quote": "http://10.0.0.7:9000"}', ()
    )
    # What names of functions and executions say towards AWS clients.
    region: str = _variable("DURABLE_REGION", values.region, "eu-central-1", "us-east-1")
    account_id: str = _variable("DURABLE_ACCOUNT_ID", values.account_id, "123456789012", "000000000000")
    # For `manage.py durable` alone: another installation, and the API key by which it is worked on.
    client_url: str = _variable("DURABLE_URL", str, "https://perdure.example.com", "")
    client_key_id: str = _variable("DURABLE_ACCESS_KEY_ID", str, "PDKEYABCDEFGHJKLMNPQ", "")
    client_secret: str = _variable("DURABLE_SECRET_ACCESS_KEY", str, "the-secret-of-the-key", "")
    client_token: str = _variable("DURABLE_TOKEN", str, "PDKEYABCDEFGHJKLMNPQ.the-secret-of-the-key", "")
    # Spans of every function for OpenTelemetry; needs perdure[otel].
    tracing: bool = _variable("DURABLE_TRACING", values.flag, "1", False)
    # The part of the executions that is traced, of those that were not started in a span.
    tracing_ratio: float = _variable("DURABLE_TRACING_RATIO", values.ratio, "0.1", 1.0)
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
        environment = read_environment(environ)
        _check_apps(environment.durable_apps)
    except EnvironmentProblem as problem:
        sys.stderr.write(f"perdure: {problem}\n")
        raise SystemExit(2) from None
    return environment


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


def _check_apps(apps: tuple[str, ...]) -> None:
    """Refuse what Django would fail to import with a traceback. Only looks: importing is for Django to do."""
    for package in (app.partition(".")[0] for app in apps):
        if find_spec(package) is None:
            problem = f"there is no package {package!r}: its directory has to be in {Path.cwd()} or on PYTHONPATH"
            raise EnvironmentProblem("DURABLE_APPS", problem, EXAMPLES["DURABLE_APPS"])


def _check_together(environment: Environment) -> None:
    if environment.heartbeat_seconds * 2 > environment.lease_seconds:
        raise EnvironmentProblem(
            "DURABLE_HEARTBEAT_SECONDS",
            f"{environment.heartbeat_seconds:g} s is more than half of DURABLE_LEASE_SECONDS "
            f"({environment.lease_seconds:g} s), so one late heartbeat would lose a running execution",
            f"{environment.lease_seconds / 6:.3g}",
        )
    if environment.tracing and find_spec("opentelemetry") is None:
        problem = "needs the package opentelemetry-api, which perdure[otel] installs, and an exporter of your choice"
        raise EnvironmentProblem("DURABLE_TRACING", problem, "0")
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
