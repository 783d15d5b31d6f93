"""How a handler reaches the requests: the app sets the real functions at its start, the testing kit its own."""

from __future__ import annotations

from typing import Protocol

from approvals.sdk.exceptions import ApprovalError
from approvals.sdk.spec import ApprovalSpec


class Requests(Protocol):
    """What an approval needs of the outside. All of it runs inside steps, possibly twice."""

    def open(self, callback_id: str, name: str, spec: ApprovalSpec) -> str:
        """Ask the people; returns the id of the request, the same when it exists already."""

    def attachment(self, attachment_id: str) -> bytes:
        """Return the content of a file that came with an answer."""

    def withdraw(self, callback_id: str, reason: str) -> None:
        """Take the question back, unless it is decided."""


_requests: Requests | None = None


def use_requests(requests: Requests | None) -> Requests | None:
    """Have approvals opened there from now on; returns where they were opened before."""
    global _requests  # one for the process, as the registry of handlers
    before, _requests = _requests, requests
    return before


def requests() -> Requests:
    """Return where approvals are opened.

    Raises:
        ApprovalError: nowhere: the app is not installed.
    """
    if _requests is None:
        raise ApprovalError('approvals are opened by the app: add "approvals.apps.ApprovalsConfig" to INSTALLED_APPS')
    return _requests
