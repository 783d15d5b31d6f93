"""The files that people send with their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from approvals.sdk.exceptions import ApprovalError
from approvals.sdk.opening import requests


def read_attachment(reference: Mapping[str, Any]) -> bytes:
    """Return the content of a file; call it inside a step. `reference` is the field of `decision.data`.

    Raises:
        ApprovalError: it is no reference to a file, or the file is gone.
    """
    attachment_id = reference.get("attachment")
    if not isinstance(attachment_id, str):
        raise ApprovalError(f"{str(reference)[:80]!r} is no file of an answer: give decision.data[...] of a file field")
    return requests().attachment(attachment_id)
