"""Signed calls of another installation: one request each, no redirects, times in both directions as JSON has them."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from durable_engine.services import sigv4
from durable_engine.services.exceptions import DurableServiceError, InvalidInput

SECONDS: Final = 60
REGION: Final = "us-east-1"  # signed and compared with nothing
URL_VARIABLE: Final = "DURABLE_URL"
KEY_VARIABLES: Final = ("DURABLE_ACCESS_KEY_ID", "DURABLE_SECRET_ACCESS_KEY")
TOKEN_VARIABLE: Final = "DURABLE_TOKEN"  # noqa: S105 - its name

Query = Sequence[tuple[str, str]]


class Unreachable(DurableServiceError):
    """The server was not there, or did not answer."""

    status_code = 503


class Refused(DurableServiceError):
    """The server refused; `code` is the type it gave."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message or f"The server answered {status}.")
        # A callback that is closed is a conflict here; AWS's model calls it a bad request.
        self.status_code = 409 if code == "CallbackTimeoutException" else status
        self.code = code


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key: a bearer token, or an id and a secret that never leaves this process."""

    token: str = ""
    access_key_id: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> Credentials:
        """Read them from the environment.

        Raises:
            InvalidInput: they are not there.
        """
        key_id, secret = (environ.get(name, "").strip() for name in KEY_VARIABLES)
        if key_id and secret:
            return cls(access_key_id=key_id, secret=secret)
        if token := environ.get(TOKEN_VARIABLE, "").strip():
            return cls(token=token)
        fix = f"Set {' and '.join(KEY_VARIABLES)}, or {TOKEN_VARIABLE}=ID.SECRET."
        raise InvalidInput("--url", "needs an API key from the environment.", fix)


class Server:
    """One installation at a URL."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self._url = _checked(url)
        self._credentials = credentials

    def call(self, method: str, path: str, *, query: Query = (), body: bytes = b"", json_body: Any = None) -> Any:
        """Make a call and return the JSON value of its answer; None when it has none.

        Raises:
            Unreachable: no answer.
            Refused: an answer that is none of 2xx.
        """
        if json_body is not None:
            body = json.dumps(json_body, ensure_ascii=False).encode()
        status, headers, text = self._send(method, path, urlencode(query), body)
        try:
            value = json.loads(text) if text.strip() else None
        except ValueError:
            value = None
        if not 200 <= status < 300:
            told = value if isinstance(value, dict) else {}
            code = headers.get("x-amzn-ErrorType", "")
            # Only the service API names its errors; a proxy or another server does not.
            message = str(told.get("message", "")) if code else f"{self._url.netloc} answered {status}; is it Perdure?"
            raise Refused(status, code, message)
        return value

    def _send(self, method: str, path: str, query: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Content-Type": "application/json", **self._authorization(method, path, query, body)}
        connection = self._connection()
        try:
            connection.request(method, f"{path}?{query}" if query else path, body, headers)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read()
        except (OSError, http.client.HTTPException) as problem:
            raise Unreachable(f"{self._url.netloc} can't be reached: {type(problem).__name__}: {problem}") from problem
        finally:
            connection.close()

    def _authorization(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        if self._credentials.token:
            return {"Authorization": f"Bearer {self._credentials.token}"}
        signed = {"host": self._url.netloc, "x-amz-date": f"{datetime.now(UTC):{sigv4.DATE_FORMAT}}"}
        request = sigv4.SignedRequest(method, path, query, signed, body)
        key_id, secret = self._credentials.access_key_id, self._credentials.secret
        header = sigv4.sign(request, key_id, secret, region=REGION, service="lambda")
        return {"Host": signed["host"], "X-Amz-Date": signed["x-amz-date"], "Authorization": header}

    def _connection(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, self._url.port, timeout=SECONDS)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, self._url.port, timeout=SECONDS, context=context)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise InvalidInput("--url", f"{url!r} is not the address of a server.", "Example: https://perdure.example.com")
    return parts
