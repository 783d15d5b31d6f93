"""The secrets of API keys, encrypted at rest.

AES-256-GCM with a key derived from `DURABLE_API_SECRET_KEY`, or from `SECRET_KEY`. The access key id is authenticated
with the text, so a secret that is moved to another row cannot be read there.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

VERSION: Final = b"\x01"
NONCE_BYTES: Final = 12
PURPOSE: Final = b"perdure api key secret, version 1"


class SecretUnreadable(Exception):
    """The stored secret was encrypted with a key that is no longer configured, or was changed."""


def encrypt_secret(access_key_id: str, secret: str) -> bytes:
    """Return what may be stored."""
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + next(_ciphers()).encrypt(nonce, secret.encode("ascii"), access_key_id.encode("ascii"))


def decrypt_secret(access_key_id: str, stored: bytes) -> str:
    """Return the secret.

    Raises:
        SecretUnreadable: none of the configured keys opens it.
    """
    nonce, text = stored[1 : 1 + NONCE_BYTES], stored[1 + NONCE_BYTES :]
    if stored[:1] == VERSION:
        for cipher in _ciphers():
            try:
                return cipher.decrypt(nonce, text, access_key_id.encode("ascii")).decode("ascii")
            except InvalidTag:
                continue
    raise SecretUnreadable(access_key_id)


def _ciphers() -> Iterator[AESGCM]:
    """The ciphers that open, the one that encrypts first."""
    roots = settings.DURABLE_API_SECRET_KEYS or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return (_cipher(root) for root in roots)


@lru_cache(maxsize=8)
def _cipher(root: str | bytes) -> AESGCM:
    # Derived, so that this key opens nothing else.
    return AESGCM(hmac.digest(root.encode("utf-8") if isinstance(root, str) else root, PURPOSE, hashlib.sha256))
