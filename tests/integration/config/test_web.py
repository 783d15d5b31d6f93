"""What every answer and every connection of the project carries."""

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from durable_engine.config.env import BASE_DIR

pytestmark = pytest.mark.django_db


def test_every_connection_has_the_limits_that_protect_the_engine() -> None:
    with connection.cursor() as cursor:
        limits = {}
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SHOW {name}")
            limits[name] = cursor.fetchone()[0]

    assert limits["statement_timeout"] == "15s"
    assert limits["lock_timeout"] == "5s"
    assert limits["idle_in_transaction_session_timeout"] == "30s"


def test_the_health_check_needs_no_login_and_says_that_postgres_answers(client: Client) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.parametrize("address", ["/healthz", "/login/"])
def test_every_answer_forbids_inline_code_framing_and_foreign_sources(client: Client, address: str) -> None:
    headers = client.get(address).headers

    assert sorted(headers["Content-Security-Policy"].split("; ")) == [
        "base-uri 'none'",
        "connect-src 'self'",
        "default-src 'none'",
        "font-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "img-src 'self' data:",
        "script-src 'self'",
        "style-src 'self'",
    ]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_the_favicon_has_an_answer(client: Client) -> None:
    response = client.get("/favicon.ico")

    assert response.status_code == 302
    assert (BASE_DIR / "static" / response.headers["Location"].removeprefix(settings.STATIC_URL)).exists()


def test_logging_out_takes_a_post(client: Client) -> None:
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
