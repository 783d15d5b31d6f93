"""Operation ids: readable paths, the same on every replay."""

from __future__ import annotations

import hashlib

MAX_LENGTH = 64


def operation_id(prefix: str, number: int) -> str:
    """Return the id of the n-th operation (from 1) below a prefix: `3`, `3-1-2`; hashed when above 64 characters."""
    path = prefix + str(number)
    if len(path) <= MAX_LENGTH:
        return path
    return hashlib.blake2b(path.encode(), digest_size=32).hexdigest()


def prefix_below(parent_id: str) -> str:
    """Return the prefix of the operations inside a context."""
    return f"{parent_id}-"
