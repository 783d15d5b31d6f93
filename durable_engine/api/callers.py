"""Who calls: the API key that signed a request, or whose secret came as a bearer token, and what it may do."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.http import HttpRequest

from durable_engine.api.errors import ApiError, access_denied
from durable_engine.services import sigv4
from durable_engine.services.actors import Actor
from durable_engine.services.api_keys import KnownKey, find_api_key, note_use
from durable_engine.services.key_secrets import SecretUnreadable

CHANNEL: Final = "api"
SERVICE: Final = "lambda"
BEARER: Final = "Bearer "
LONGEST_KEY_ID: Final = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls. `key` is None for an unsigned call, where those are let in."""

    key: KnownKey | None

    @property
    def name(self) -> str:
        """For the log and for limits."""
        return "anonymous" if self.key is None else self.key.access_key_id

    @property
    def actor(self) -> Actor:
        """For the audit."""
        label = "unsigned call" if self.key is None else f"API key {self.key.name} ({self.key.access_key_id})"
        return Actor(label, channel=CHANNEL)

    @property
    def user_id(self) -> int | None:
        """Whom the key acts for; None for a key of no person."""
        return None if self.key is None else self.key.user_id

    def has_scope(self, scope: str) -> bool:
        """Whether the key has this right."""
        return self.key is None or scope in self.key.scopes

    def check_scope(self, scope: str, operation: str) -> None:
        """Raise AccessDeniedException unless the key has this right."""
        if not self.has_scope(scope):
            raise access_denied(f"{self.actor.label} lacks the scope {scope!r}, which {operation} needs.")

    def check_function(self, function: str) -> None:
        """Raise AccessDeniedException unless the key is for this function."""
        if self.key is not None and not self.key.may_touch(function):
            raise access_denied(f"{self.actor.label} is not for the function {function[:140]!r}.")

    def may_touch(self, function: str) -> bool:
        """Whether the key is for this function."""
        return self.key is None or self.key.may_touch(function)


def identify(request: HttpRequest, body: bytes) -> Caller:
    """Return who calls.

    Raises:
        ApiError: unsigned, badly signed, too late, or with a key that is unknown, expired or revoked.
    """
    header = request.headers.get("Authorization", "")
    if not header:
        if settings.DURABLE_API_ANONYMOUS:
            return Caller(None)
        raise ApiError(
            "MissingAuthenticationTokenException",
            403,
            "Sign the request with an API key (SigV4, service lambda), or send it as Authorization: Bearer ID.SECRET. "
            "Keys are made with: manage.py durable keys create NAME",
        )
    key = _by_bearer(header) if header.startswith(BEARER) else _by_signature(request, header, body)
    if key.is_revoked:
        raise ApiError("UnrecognizedClientException", 403, f"The API key {key.access_key_id} is revoked.")
    if key.is_expired:
        raise ApiError("ExpiredTokenException", 403, f"The API key {key.access_key_id} has expired.")
    note_use(key)
    return Caller(key)


def _by_bearer(header: str) -> KnownKey:
    access_key_id, _, secret = header.removeprefix(BEARER).strip().partition(".")
    key = _known(access_key_id)
    if not any(hmac.compare_digest(each.encode(), secret.encode()) for each in key.secrets):
        raise ApiError("UnrecognizedClientException", 403, "The bearer token is not one of ours.")
    return key


def _by_signature(request: HttpRequest, header: str, body: bytes) -> KnownKey:
    try:
        given = sigv4.parse_authorization(header)
    except sigv4.AuthorizationMalformed as problem:
        raise _incomplete(str(problem)) from None
    key = _known(given.access_key_id)
    try:
        sigv4.check_signature(signed_request(request, body), given, key.secrets, service=SERVICE, now=datetime.now(UTC))
    except sigv4.SignatureRefused as problem:
        raise ApiError("InvalidSignatureException", 403, str(problem)) from None
    return key


def signed_request(request: HttpRequest, body: bytes) -> sigv4.SignedRequest:
    """Return the request as it came over the wire.

    Servers give the undecoded path under a name of their own; without it a slash in a name can't be told from one
    between names.
    """
    meta = request.META
    raw = meta.get("RAW_URI") or meta.get("REQUEST_URI") or ""
    path = raw.partition("?")[0] if raw.startswith("/") else request.get_full_path().partition("?")[0]
    headers = {name.lower(): value for name, value in request.headers.items()}
    return sigv4.SignedRequest(str(request.method), path, meta.get("QUERY_STRING", ""), headers, body)


def _known(access_key_id: str) -> KnownKey:
    try:
        found = (
            find_api_key(access_key_id) if len(access_key_id) <= LONGEST_KEY_ID and access_key_id.isalnum() else None
        )
    except SecretUnreadable:
        message = "The secret of this API key can't be read here: DURABLE_API_SECRET_KEY or SECRET_KEY has changed."
        raise ApiError("UnrecognizedClientException", 403, f"{message} Rotate the key.") from None
    if found is None:
        raise ApiError("UnrecognizedClientException", 403, "There is no API key with this access key id.")
    return found


def _incomplete(message: str) -> ApiError:
    return ApiError("IncompleteSignatureException", 400, message)
