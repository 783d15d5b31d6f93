"""Turns a database URL into Django's connection settings."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict


def database_settings(url: str, *, statement_timeout_seconds: float) -> dict[str, Any]:
    """Return the entry of DATABASES for `url`; what the URL says about libpq options wins over our defaults."""
    parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        # Kept open between requests and between claims, and tried before use: a restarted server costs one reconnect,
        # not an error. No pool: Celery tears one down after every task, and the web threads each keep their connection.
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        # They need one server session from first to last row, which a transaction pooler does not give.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {**_defaults(statement_timeout_seconds), **parts},
    }


def _defaults(statement_timeout_seconds: float) -> dict[str, Any]:
    limits = {
        "statement_timeout": round(statement_timeout_seconds * 1000),
        "lock_timeout": 5_000,
        # A transaction left open holds back vacuum for every table.
        "idle_in_transaction_session_timeout": 30_000,
    }
    return {
        "connect_timeout": 5,
        # Notice a vanished server in about half a minute; the kernel's own patience is hours. Ignored on a Unix socket.
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
    }
