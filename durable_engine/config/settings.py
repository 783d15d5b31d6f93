"""Django settings. What may differ between installations comes from `env.py`, all else is decided here."""

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from csp.constants import NONE, SELF

from durable_engine.config.celery_settings import celery_settings
from durable_engine.config.databases import database_settings
from durable_engine.config.env import BASE_DIR, read_environment_or_exit
from durable_engine.config.secret_key import generated_secret_key
from durable_engine.embedded import paths

ENVIRONMENT = read_environment_or_exit(os.environ)

DEBUG = ENVIRONMENT.debug
# Behind TLS, with built static files. Local mode and development speak plain http, where a browser sends no secure
# cookie back.
DEPLOYED = not (ENVIRONMENT.local or DEBUG)
SECRET_KEY = ENVIRONMENT.secret_key or generated_secret_key(ENVIRONMENT.home)
# Health checks, `manage.py up` and `runserver` ask for this machine by these names.
ALLOWED_HOSTS = [*ENVIRONMENT.allowed_hosts, "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = list(ENVIRONMENT.csrf_trusted_origins)

# --- Engine ---

PERDURE_HOME = ENVIRONMENT.home
PERDURE_LOCAL = ENVIRONMENT.local
DURABLE_APPS = list(ENVIRONMENT.durable_apps)
DURABLE_AWS_ALIAS = ENVIRONMENT.aws_alias
DURABLE_LEASE_SECONDS = ENVIRONMENT.lease_seconds
DURABLE_HEARTBEAT_SECONDS = ENVIRONMENT.heartbeat_seconds
DURABLE_SCHEDULER_TICK_SECONDS = ENVIRONMENT.scheduler_tick_seconds
DURABLE_MAX_CRASHES = ENVIRONMENT.max_crashes
DURABLE_CRASH_BACKOFF_SECONDS = ENVIRONMENT.crash_backoff_seconds
DURABLE_WORKER_CONCURRENCY = ENVIRONMENT.worker_concurrency
DURABLE_QUEUES = list(ENVIRONMENT.queues)
DURABLE_HANDLER_LOG = ENVIRONMENT.handler_log
DURABLE_LOG_RECORDS = ENVIRONMENT.log_records
DURABLE_RETENTION_DAYS = ENVIRONMENT.retention_days
DURABLE_KEY_PREFIX = ENVIRONMENT.key_prefix
DURABLE_CALLBACK_KEYS = list(ENVIRONMENT.callback_keys)
DURABLE_API_SECRET_KEYS = list(ENVIRONMENT.api_secret_keys)
DURABLE_API_ANONYMOUS = ENVIRONMENT.api_anonymous
DURABLE_API_REQUESTS_PER_SECOND = ENVIRONMENT.api_requests_per_second
DURABLE_API_WAITERS = ENVIRONMENT.api_waiters
DURABLE_API_WAIT_SECONDS = ENVIRONMENT.api_wait_seconds
DURABLE_REMOTE_FUNCTIONS = list(ENVIRONMENT.remote_functions)
DURABLE_REGION = ENVIRONMENT.region
DURABLE_ACCOUNT_ID = ENVIRONMENT.account_id
DURABLE_TRACING = ENVIRONMENT.tracing
DURABLE_TRACING_RATIO = ENVIRONMENT.tracing_ratio
DURABLE_FAILPOINTS = ENVIRONMENT.failpoints
DURABLE_MASKED_KEYS = list(ENVIRONMENT.masked_keys)
DURABLE_VISIBLE_EXECUTIONS = ENVIRONMENT.visible_executions

# --- Servers ---

DATABASE_URL = ENVIRONMENT.database_url or paths.database_url(ENVIRONMENT.home)
BROKER_URL = ENVIRONMENT.broker_url or paths.broker_url(ENVIRONMENT.home)

DATABASES = {
    "default": database_settings(DATABASE_URL, statement_timeout_seconds=ENVIRONMENT.statement_timeout_seconds)
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY = celery_settings(
    broker_url=BROKER_URL,
    key_prefix=ENVIRONMENT.key_prefix,
    queues=ENVIRONMENT.queues,
    concurrency=ENVIRONMENT.worker_concurrency,
)

# --- Application ---

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "template_partials",
    "durable_engine.apps.DurableEngineConfig",
    "dashboard.apps.DashboardConfig",
    "approvals.apps.ApprovalsConfig",
    *DURABLE_APPS,
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Calls of the API need nothing of what follows.
    "durable_engine.api.middleware.ApiCalls",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dashboard.preferences.ShowTimes",
    "durable_engine.narrowing.NarrowToPerson",
    # Last: it sees the user and the view, and refuses every view that declares neither a permission nor that it is
    # public.
    "durable_engine.access.DenyUndeclaredViews",
]

ROOT_URLCONF = "durable_engine.config.urls"
WSGI_APPLICATION = "durable_engine.config.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
# The pages of approvals are translated, in the language of each reader; see approvals/language.py.
USE_I18N = True
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "approvals/locale"]

# --- People ---

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard:home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESSION_COOKIE_AGE = 8 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

# --- Security ---

SESSION_COOKIE_SECURE = DEPLOYED
SESSION_COOKIE_NAME = "__Host-sessionid" if DEPLOYED else "perdure_sessionid"
CSRF_COOKIE_SECURE = DEPLOYED
CSRF_COOKIE_NAME = "__Host-csrftoken" if DEPLOYED else "perdure_csrftoken"
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = DEPLOYED
# The health check and the figures are asked for from inside, without the proxy that ends TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^metrics/prometheus$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if DEPLOYED else None
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if DEPLOYED else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = DEPLOYED
SECURE_HSTS_PRELOAD = DEPLOYED
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}

# An input may have 6 MiB; the start form sends it with its quotes and braces percent-encoded. Views set their own,
# smaller limits.
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

# --- Static files ---

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "durable_engine.config.static_finders.PlotlyFinder",
]
# Local mode serves the apps' own files, so a first start builds nothing; a deployment builds them once, hashed and
# compressed.
STATIC_ROOT = BASE_DIR / "staticfiles" if DEPLOYED else None
WHITENOISE_USE_FINDERS = not DEPLOYED
WHITENOISE_AUTOREFRESH = DEBUG
# Pages name the hashed files only, so the others need not be compressed too.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if DEPLOYED
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}

# --- Mail ---

_email = urlsplit(ENVIRONMENT.email_url)
EMAIL_BACKEND = f"django.core.mail.backends.{'console' if _email.scheme == 'console' else 'smtp'}.EmailBackend"
EMAIL_HOST = _email.hostname or "localhost"
EMAIL_PORT = _email.port or {"smtps": 465, "smtp+tls": 587}.get(_email.scheme, 25)
EMAIL_HOST_USER = unquote(_email.username or "")
EMAIL_HOST_PASSWORD = unquote(_email.password or "")
EMAIL_USE_TLS = _email.scheme == "smtp+tls"
EMAIL_USE_SSL = _email.scheme == "smtps"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = ENVIRONMENT.email_from
SERVER_EMAIL = ENVIRONMENT.email_from

# --- Messages to the outside ---

PUBLIC_URL = ENVIRONMENT.public_url or (
    f"http://localhost:{ENVIRONMENT.port or 8000}"
    if ENVIRONMENT.local or not ENVIRONMENT.allowed_hosts
    else f"https://{ENVIRONMENT.allowed_hosts[0].lstrip('.')}"
)
DURABLE_WEBHOOKS = {name: (url, secret) for name, url, secret in ENVIRONMENT.webhooks}
DURABLE_WEBHOOKS_PRIVATE = ENVIRONMENT.webhooks_private
DURABLE_APPRISE = dict(ENVIRONMENT.apprise)

# --- Logging ---

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        # Django's own development server writes its requests itself.
        "django.server": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        # Two lines a hint, about a message that means nothing by itself.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
