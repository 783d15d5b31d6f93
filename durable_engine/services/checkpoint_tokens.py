"""Checkpoint tokens: the right of one invocation that runs elsewhere to record its next batch, once.

A token names the execution, the fence of the lease, the number of the batch before, and the last event the holder has
been told of. Recording a batch raises the number in the database, so a token that was used, or whose lease was lost,
matches nothing any more. `base64(version | execution | fence | batch | seen | HMAC-SHA256)`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
from typing import Final, NamedTuple
from uuid import UUID

from django.conf import settings

VERSION: Final = 1
MAX_LENGTH: Final = 2048
MAC_BYTES: Final = 32
SHAPE: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
PURPOSE: Final = b"perdure checkpoint token, version 1"
_BODY: Final = struct.Struct(">B16sQQQ")


class CheckpointToken(NamedTuple):
    """What a token says."""

    execution_id: UUID
    fence: int
    batch: int
    seen: int


def make_checkpoint_token(token: CheckpointToken) -> str:
    """Return the token as text."""
    body = _BODY.pack(VERSION, token.execution_id.bytes, token.fence, token.batch, token.seen)
    return base64.b64encode(body + _mac(settings.SECRET_KEY, body)).decode("ascii")


def read_checkpoint_token(text: str) -> CheckpointToken | None:
    """Return what a token says, or None if it is none of ours."""
    if len(text) > MAX_LENGTH or not SHAPE.fullmatch(text):
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    body, mac = raw[: _BODY.size], raw[_BODY.size :]
    if len(mac) != MAC_BYTES or base64.b64encode(raw).decode("ascii") != text:
        return None
    roots = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if not any(hmac.compare_digest(mac, _mac(root, body)) for root in roots):
        return None
    version, execution_id, fence, batch, seen = _BODY.unpack(body)
    return CheckpointToken(UUID(bytes=execution_id), fence, batch, seen) if version == VERSION else None


def _mac(root: str | bytes, body: bytes) -> bytes:
    key = hmac.digest(root.encode("utf-8") if isinstance(root, str) else root, PURPOSE, hashlib.sha256)
    return hmac.digest(key, body, hashlib.sha256)
