"""Callback ids: opaque to whoever holds one, the same on every replay, and verified before anything is looked up.

An id is `base64(version | length of key id | key id | callback uuid | HMAC-SHA256)`, in the character set AWS clients
accept. Holding one is the right to complete that callback and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from django.conf import settings

from durable_engine.models import callback_uuid
from durable_engine.services.exceptions import CallbackNotFound

VERSION: Final = 1
MAX_LENGTH: Final = 1024
UUID_BYTES: Final = 16
MAC_BYTES: Final = 32
SHAPE: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
PURPOSE: Final = b"perdure callback id, version 1"


def callback_id_for(execution_id: UUID, operation_id: str) -> str:
    """Return the id under which the outside completes the callback of this operation.

    Signed with the first of `DURABLE_CALLBACK_KEYS`, or with a key derived from `SECRET_KEY`: the same at every call
    until the key changes, and then ids given out earlier stay valid while their key is still listed.
    """
    key_id, secret = next(_keys())
    named = key_id.encode("ascii")
    body = bytes((VERSION, len(named))) + named + callback_uuid(execution_id, operation_id).bytes
    return base64.b64encode(body + _mac(secret, body)).decode("ascii")


def parse_callback_id(text: str) -> UUID:
    """Return the callback's uuid after verifying the signature in constant time.

    Raises:
        CallbackNotFound: not an id of ours, damaged, or signed with a key that is no longer listed.
    """
    body, mac = _split(text)
    key_length = body[1]
    if body[0] != VERSION or len(body) != 2 + key_length + UUID_BYTES:
        raise CallbackNotFound
    key_id = body[2 : 2 + key_length]
    secret = next((secret for known, secret in _keys() if known.encode("ascii") == key_id), None)
    if secret is None or not hmac.compare_digest(mac, _mac(secret, body)):
        raise CallbackNotFound
    return UUID(bytes=body[-UUID_BYTES:])


def _split(text: object) -> tuple[bytes, bytes]:
    if not isinstance(text, str) or len(text) > MAX_LENGTH or not SHAPE.fullmatch(text):
        raise CallbackNotFound
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise CallbackNotFound from None
    # Base64 has spare bits at its end: one callback, one id.
    if len(raw) < 2 + UUID_BYTES + MAC_BYTES or base64.b64encode(raw).decode("ascii") != text:
        raise CallbackNotFound
    return raw[:-MAC_BYTES], raw[-MAC_BYTES:]


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256)


def _keys() -> Iterator[tuple[str, bytes]]:
    """The keys that verify, the signing one first."""
    if settings.DURABLE_CALLBACK_KEYS:
        for key_id, secret in settings.DURABLE_CALLBACK_KEYS:
            yield key_id, secret.encode("utf-8")
        return
    for root in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        # Derived, so that this key forges nothing else; named by its own hash, so that a fallback is found again.
        derived = hmac.digest(root.encode("utf-8") if isinstance(root, str) else root, PURPOSE, hashlib.sha256)
        yield hashlib.sha256(derived).hexdigest()[:8], derived
